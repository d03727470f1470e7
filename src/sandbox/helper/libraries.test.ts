import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseLdd } from "./libraries.ts";

describe("parseLdd", () => {
  test("tells libraries, the loader, and what is the kernel's own apart", () => {
    const { loader, files } = parseLdd(
      [
        "\tlinux-vdso.so.1 (0x00007f4715d3d000)",
        "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f471521e000)",
        "\tlibgone.so.1 => not found",
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f4715d3f000)",
      ].join("\n"),
    );
    assert.equal(loader, "/lib64/ld-linux-x86-64.so.2");
    assert.deepEqual([...files], [["libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"]]);
  });

  test("reads what musl's loader says", () => {
    const { loader, files } = parseLdd(
      "\t/lib/ld-musl-x86_64.so.1 (0x7f0)\n\tlibz.so.1 => /lib/libz.so.1 (0x7f1)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f0)\n",
    );
    assert.equal(loader, "/lib/ld-musl-x86_64.so.1");
    assert.deepEqual([...files.keys()], ["libz.so.1"]);
  });
});
