import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { complaintsAbout, importsOf } from "../../tools/check/guest-platforms.ts";

describe("the check of what guests run", () => {
  test("finds calls that only Linux or only Unix has", () => {
    for (const call of [
      'readFileSync("/proc/net/tcp")',
      "process.getuid()",
      'execFile("ip", ["route"])',
      'run(["nft", "-f"])',
      'process.on("SIGUSR2", stop)',
      "open(path, constants.O_NOFOLLOW)",
      'symlink("a", "b")',
      "if (found.uid !== mine) refuse()",
    ]) {
      assert.equal(complaintsAbout("src/x.ts", `${call};`).length, 1, call);
    }
  });

  test("lets pass what asks for the platform first, and what is no call at all", () => {
    for (const harmless of [
      'if (platform === "linux") readFileSync("/proc/net/tcp");',
      "process.getuid?.();",
      '// as `execFile("ip", …)` does',
      'interface Owner { readonly uid: number }\ntype Path = "/proc/self";',
      'const words = "the ip of a node";',
    ]) {
      assert.deepEqual(complaintsAbout("src/x.ts", harmless), [], harmless);
    }
  });

  test("follows the imports that Node follows", () => {
    const source = `
      import type { A } from "./a.ts";
      import { type B } from "./b.ts";
      export * from "./c.ts";
      import fastify from "fastify";
      const later = () => import("./d.ts");
      // import "./e.ts";`;
    assert.deepEqual(importsOf(source).sort(), ["./b.ts", "./c.ts", "./d.ts"]);
  });
});
