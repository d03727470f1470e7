/** One connection of the sandbox and its strand: what each sends goes to the other, as far as there is room. */

import type { Socket } from "node:net";
import { encodePiece, encodeRoom, MAX_CONTENT_BYTES, type Piece, WINDOW_BYTES } from "./strands.ts";

/** Given back in larger portions, so that a byte does not cost a message. */
const ROOM_STEP_BYTES = WINDOW_BYTES / 4;

export class Strand {
  readonly #id: number;
  readonly #socket: Socket;
  readonly #say: (piece: Buffer) => void;
  #room = WINDOW_BYTES;
  #taken = 0;
  /** Nothing is sent any more, and nothing expected. */
  #over = false;

  /** @param onOver when the connection is gone */
  constructor(id: number, socket: Socket, { say, onOver }: { say: (piece: Buffer) => void; onOver: () => void }) {
    this.#id = id;
    this.#socket = socket;
    this.#say = say;
    socket.on("readable", () => this.#read());
    socket.once("end", () => !this.#over && say(encodePiece("end", id)));
    socket.on("error", () => undefined); // "close" follows
    socket.once("close", () => {
      // With both ways ended in order nobody needs to hear more.
      if (!this.#over && !(socket.readableEnded && socket.writableFinished)) say(encodePiece("broken", id));
      this.#over = true;
      onOver();
    });
  }

  take({ kind, content }: Piece): void {
    if (kind === "data") this.#write(content);
    else if (kind === "end") this.#socket.end();
    else if (kind === "room") {
      this.#room = Math.min(WINDOW_BYTES, this.#room + content.readUInt32BE(0));
      this.#read();
    } else this.break();
  }

  /** The other end is gone. */
  break(): void {
    this.#over = true;
    this.#socket.resetAndDestroy();
  }

  #read(): void {
    while (this.#room > 0 && this.#socket.readableLength > 0) {
      const size = Math.min(this.#room, MAX_CONTENT_BYTES, this.#socket.readableLength);
      const bytes = this.#socket.read(size) as Buffer | null;
      if (bytes === null) return;
      this.#room -= bytes.length;
      this.#say(encodePiece("data", this.#id, bytes));
    }
    // Without this, what is empty says nothing of its end.
    if (this.#socket.readableLength === 0) this.#socket.read(0);
  }

  #write(bytes: Buffer): void {
    this.#socket.write(bytes, (error) => {
      if (error !== null && error !== undefined) return;
      this.#taken += bytes.length;
      if (this.#taken < ROOM_STEP_BYTES || this.#over) return;
      this.#say(encodePiece("room", this.#id, encodeRoom(this.#taken)));
      this.#taken = 0;
    });
  }
}
