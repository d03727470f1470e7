import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Failure } from "../core/index.ts";
import { type Config, readConfig } from "./index.ts";

describe("the configuration", () => {
  test("is empty and frozen where nobody chose anything", async () => {
    await using lab = await Lab.open();
    const config = await lab.read({});
    assert.deepEqual(config, {});
    assert.ok(Object.isFrozen(config));
  });

  test("takes flags before environment before file, key by key", async () => {
    await using lab = await Lab.open();
    await lab.write({ name: "file", port: 1, info: "from the file" });
    const config = await lab.read({
      flags: { name: "flag" },
      environment: { P2PRC_NAME: "environment", P2PRC_PORT: "2" },
    });
    assert.deepEqual(config, { name: "flag", port: 2, info: "from the file" });
  });

  test("passes over flags that were not typed and variables that are empty", async () => {
    await using lab = await Lab.open();
    await lab.write({ name: "file" });
    assert.deepEqual(await lab.read({ flags: { name: undefined }, environment: { P2PRC_NAME: "", HOME: "/root" } }), {
      name: "file",
    });
  });

  test("reads every key from every source", async () => {
    await using lab = await Lab.open();
    const config = {
      name: "attic",
      port: 0,
      listen: ["::", "192.0.2.7"],
      allowNetworks: ["100.64.0.0/10", "fd00::/8"],
      lan: false,
      punch: false,
      networkSecret: "correct horse battery",
      lends: true,
      info: "under the roof",
      labels: ["gpu", "site=attic"],
    };
    assert.deepEqual(await lab.read({ flags: config }), config);
    const environment = {
      P2PRC_NAME: "attic",
      P2PRC_PORT: "0",
      P2PRC_LISTEN: "::, 192.0.2.7",
      P2PRC_ALLOW_NETWORKS: "100.64.0.0/10 fd00::/8",
      P2PRC_LAN: "No",
      P2PRC_PUNCH: "off",
      P2PRC_NETWORK_SECRET: "correct horse battery",
      P2PRC_LENDS: "on",
      P2PRC_INFO: "under the roof",
      P2PRC_LABELS: "gpu,site=attic",
    };
    assert.deepEqual(await lab.read({ environment }), config);
    await lab.write(config);
    assert.deepEqual(await lab.read({}), config);
    await writeFile(lab.file, `\uFEFF${JSON.stringify(config)}`);
    assert.deepEqual(await lab.read({}), config, "with a byte order mark, as Windows writes it");
  });

  for (const [where, key, value] of [
    ["port", "port", 65_536],
    ["port", "port", "8088"],
    ["port", "port", 80.5],
    ["name", "name", ""],
    ["name", "name", "x".repeat(33)],
    ["name", "name", "a\u0007b"],
    ["name", "name", "evil\u202etxt"],
    ["name", "name", " attic"],
    ["listen", "listen", "::"],
    ["listen", "listen", []],
    ["listen, entry 2", "listen", ["::", "host.example"]],
    ["listen, entry 1", "listen", ["192.0.2.7:80"]],
    ["listen, entry 2", "listen", ["::", 7]],
    ["allowNetworks, entry 1", "allowNetworks", ["192.0.2.0/33"]],
    ["allowNetworks, entry 1", "allowNetworks", ["intranet"]],
    ["lan", "lan", "yes"],
    ["punch", "punch", "no"],
    ["lends", "lends", 1],
    ["info", "info", "ü".repeat(101)],
    ["info", "info", "two\nlines"],
    ["labels, entry 2", "labels", ["gpu", "No Blanks"]],
    ["labels", "labels", Array.from({ length: 9 }, (_, i) => `l${i}`)],
  ] as const) {
    test(`refuses ${JSON.stringify(value).slice(0, 40)} for ${key}, and says where it stands`, async () => {
      await using lab = await Lab.open();
      await lab.write({ [key]: value });
      const failure = await lab.refusal({});
      assert.ok(failure.message.startsWith(`config.json: ${where}: `), failure.message);
      await writeFile(lab.file, "{}");
      assert.match((await lab.refusal({ flags: { [key]: value } as Config })).message, /^-/);
    });
  }

  test("repeats no secret that is too short", async () => {
    await using lab = await Lab.open();
    await lab.write({ networkSecret: "hunter2" });
    const said = await lab.said({});
    assert.match(said.join(), /^config\.json: networkSecret: /);
    assert.doesNotMatch(said.join(), /hunter2/);
  });

  test("names the variable that is wrong, also where a flag overrides it", async () => {
    await using lab = await Lab.open();
    assert.match(
      (await lab.refusal({ flags: { port: 1 }, environment: { P2PRC_PORT: "many" } })).message,
      /^P2PRC_PORT: .*"many"/,
    );
    assert.match((await lab.refusal({ environment: { P2PRC_LAN: "maybe" } })).message, /^P2PRC_LAN: .*"maybe"/);
  });

  test("knows no other keys, and names the nearest one", async () => {
    await using lab = await Lab.open();
    await lab.write({ allowNetwork: [] });
    assert.deepEqual(await lab.said({}), ['config.json: no such key: "allowNetwork"', 'did you mean "allowNetworks"?']);
    await writeFile(lab.file, '{"__proto__": {"port": 1}}');
    assert.match((await lab.refusal({})).message, /no such key: "__proto__"/);
    await writeFile(lab.file, "{}");
    assert.deepEqual(await lab.said({ environment: { P2PRC_PROT: "1" } }), [
      "no such variable: P2PRC_PROT",
      "did you mean P2PRC_PORT?",
    ]);
    assert.deepEqual(await lab.read({ environment: { P2PRC_HOME: "/x", P2PRC_DEBUG: "1" } }), {});
  });

  test("says what is wrong with the file, and takes nothing from it", async () => {
    await using lab = await Lab.open();
    for (const [text, message] of [
      ['{"port": 80', /is not JSON/],
      ["", /is not JSON/],
      ["[]", /JSON object/],
      ["null", /JSON object/],
      [" ".repeat(70_000), /over 65536 bytes/],
    ] as const) {
      await writeFile(lab.file, text);
      assert.match((await lab.refusal({})).message, message);
    }
    assert.match(
      (
        await readConfig({ flags: {}, environment: {}, file: tmpdir() }).then(
          () => new Error("read"),
          (error: Error) => error,
        )
      ).message,
      /EISDIR/,
    );
  });

  test("is read or refused, never anything else, whatever the file holds", async () => {
    await using lab = await Lab.open();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc
            .dictionary(
              fc.constantFrom("name", "port", "listen", "lan", "labels", "info", "allowNetworks"),
              fc.jsonValue(),
            )
            .map((value) => JSON.stringify(value)),
        ),
        async (text) => {
          await writeFile(lab.file, text);
          const result = await lab.read({}).catch((error: unknown) => error);
          assert.ok(!(result instanceof Error) || result instanceof Failure, String(result));
        },
      ),
      { numRuns: 300 },
    );
  });
});

interface Given {
  readonly flags?: { readonly [K in keyof Config]: Config[K] | undefined };
  readonly environment?: Readonly<Record<string, string>>;
}

class Lab implements AsyncDisposable {
  readonly file: string;
  readonly #folder: string;

  static async open(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), "p2prc-config-")));
  }

  private constructor(folder: string) {
    this.#folder = folder;
    this.file = join(folder, "config.json");
  }

  write(value: unknown): Promise<void> {
    return writeFile(this.file, JSON.stringify(value));
  }

  read({ flags = {}, environment = {} }: Given): Promise<Config> {
    return readConfig({ flags, environment, file: this.file });
  }

  async refusal(given: Given): Promise<Failure> {
    const failure = await this.read(given).then(
      () => new Error("it was accepted"),
      (error: unknown) => error,
    );
    assert.ok(failure instanceof Failure && failure.code === "bad-config", String(failure));
    return failure;
  }

  async said(given: Given): Promise<readonly (string | undefined)[]> {
    const { message, hint } = await this.refusal(given);
    return [message, hint];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }
}
