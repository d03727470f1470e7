import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cleanPath, EntryChooser, type EntryHead, MAX_ENTRIES, MAX_UNPACKED_BYTES } from "./entries.ts";

describe("cleanPath", () => {
  test("takes off what does not matter", () => {
    assert.deepEqual(["./a/b/", "/a//b", "a/./b", "./", "/"].map(cleanPath), ["a/b", "a/b", "a/b", "", ""]);
  });

  test("refuses what leads out, or cannot be a name", () => {
    for (const name of ["../x", "a/../../x", "a/..", "a\0b", "x".repeat(5_000)]) {
      assert.throws(() => cleanPath(name), { code: "bad-image" });
    }
  });
});

describe("EntryChooser", () => {
  test("takes files, folders and links, and leaves devices and pipes", () => {
    assert.deepEqual(
      taken([[file("a"), of("directory", "d/"), of("symlink", "s", "../../etc/passwd"), of("link", "l", "a")]]),
      ["a", "d", "s", "l"],
    );
    assert.deepEqual(taken([[of("character-device", "c"), of("block-device", "b"), of("fifo", "f")]]), []);
  });

  test("leaves the folders that a sandbox has of its own", () => {
    assert.deepEqual(
      taken([[file("dev/sda"), file("./proc/x"), file("/sys/y"), file(".p2prc/bin/node"), file("etc/hosts")]]),
      [],
    );
  });

  test("refuses a hard link that leads out", () => {
    assert.throws(() => taken([[of("link", "l", "../../etc/passwd")]]), { code: "bad-image" });
  });

  test("lets a higher layer stand over a lower one", () => {
    assert.deepEqual(taken([[file("a")], [file("a"), file("b")]]), ["a", "b"]);
  });

  test("removes below what a higher layer has taken away", () => {
    assert.deepEqual(taken([[file("etc/.wh.motd")], [file("etc/motd"), file("etc/x")]]), ["etc/x"]);
    assert.deepEqual(taken([[file(".wh.opt")], [file("opt/a/b"), file("optical")]]), ["optical"]);
  });

  test("empties a folder below that a higher layer made anew, and keeps what that one puts in", () => {
    const higher = [file("d/.wh..wh..opq"), file("d/new")];
    assert.deepEqual(taken([higher, [file("d/old"), file("e")]]), ["d/new", "e"]);
  });

  test("puts nothing below what a higher layer has made a file", () => {
    assert.deepEqual(taken([[of("symlink", "a", "/etc")], [file("a/passwd")]]), ["a"]);
  });

  test("has an end to files and bytes", () => {
    const many = new EntryChooser();
    assert.throws(
      () => {
        for (let count = 0; count <= MAX_ENTRIES; count++) many.take(file("a"));
      },
      { code: "too-large" },
    );
    assert.throws(() => new EntryChooser().take({ ...file("a"), size: MAX_UNPACKED_BYTES + 1 }), { code: "too-large" });
  });
});

const file = (name: string) => of("file", name);

function of(type: string, name: string, linkname = ""): EntryHead {
  return { type, name, linkname, size: 0 };
}

/** @param layers from the topmost down */
function taken(layers: readonly (readonly EntryHead[])[]): readonly string[] {
  const chooser = new EntryChooser();
  return layers.flatMap((layer) => {
    const paths = layer.flatMap((head) => chooser.take(head) ?? []);
    chooser.nextLayer();
    return paths;
  });
}
