import assert from "node:assert/strict";
import type { Http2Session, Http2Stream, Settings } from "node:http2";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { STREAM_WINDOW_BYTES } from "./http2-settings.ts";
import { MAX_UNREAD_BYTES, UnreadBytes } from "./unread-bytes.ts";

const MIB = 1024 * 1024;

describe("unread bytes", () => {
  test("let one stream have the whole window", () => {
    const lab = new Lab();
    lab.stop();
    assert.equal(lab.unread.total, STREAM_WINDOW_BYTES);
    assert.equal(lab.resets, 0);
  });

  test("stay below the cap, and reset nobody, when 64 readers stop one after the other", () => {
    const lab = new Lab();
    for (let i = 0; i < 64; i++) lab.stop();
    assert.equal(lab.resets, 0);
    assert.ok(lab.unread.total < 0.9 * MAX_UNREAD_BYTES, `${lab.unread.total / MIB} MiB`);
  });

  test("reset whoever holds most when a sender heeds no window", () => {
    const lab = new Lab();
    const most = lab.open();
    const others = [lab.open(), lab.open()];
    lab.fill(most, 20 * MIB);
    for (const other of others) lab.fill(other, 8 * MIB);
    assert.equal(lab.resets, 1);
    assert.ok(most.destroyed);
    assert.equal(lab.unread.total, 16 * MIB);
  });

  test("leave the window whole again once the others are gone", () => {
    const lab = new Lab();
    const streams = Array.from({ length: 8 }, () => lab.open());
    assert.equal(lab.window, STREAM_WINDOW_BYTES / 4);
    for (const stream of streams) stream.emit("close");
    assert.equal(lab.window, STREAM_WINDOW_BYTES);
  });

  test("say little of the window, and at last what is right, however many streams come and go within a round trip", () => {
    const lab = new Lab();
    lab.answersLate = true;
    for (let round = 0; round < 5; round++) {
      const streams = Array.from({ length: 64 }, () => lab.open());
      for (const stream of streams) stream.emit("close");
    }
    assert.ok(lab.late.length <= 8, `${lab.late.length} words under way`);
    for (let told = lab.late.shift(); told !== undefined; told = lab.late.shift()) told();
    assert.equal(lab.window, STREAM_WINDOW_BYTES);
  });
});

/** A session whose other end sends to each stream what its window lets it, at once. */
class Lab {
  window = STREAM_WINDOW_BYTES;
  resets = 0;
  answersLate = false;
  /** What the other end has yet to acknowledge. */
  late: (() => void)[] = [];
  readonly unread: UnreadBytes;

  constructor() {
    const settings = ({ initialWindowSize = this.window }: Settings, acknowledged: () => void) => {
      this.window = initialWindowSize;
      if (this.answersLate) this.late.push(acknowledged);
      else acknowledged();
    };
    this.unread = new UnreadBytes({ destroyed: false, closed: false, settings } as unknown as Http2Session);
  }

  open(): Http2Stream {
    const close = () => void this.resets++;
    const stream = Object.assign(new Readable({ read: () => undefined }), { close }) as unknown as Http2Stream;
    this.unread.watch(stream);
    return stream;
  }

  fill(stream: Http2Stream, bytes: number): void {
    for (let sent = 0; sent < bytes && !stream.destroyed; sent += 65_536) stream.push(Buffer.alloc(65_536));
  }

  /** A stream that nobody reads. */
  stop(): void {
    this.fill(this.open(), this.window);
  }
}
