import assert from "node:assert/strict";
import { duplexPair, type Duplex, PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { CliLab, type LabOptions, type Routes } from "../../../test/support/cli-lab.ts";
import { box, sandbox } from "../../../test/support/inside-lab.ts";
import { Failure, failures } from "../../core/light.ts";
import type { Box, Group } from "../../sandbox/index.ts";
import { encodeFrame, FrameReader } from "../../sandbox/light.ts";
import { ended, prefixed } from "../group-work.ts";

const boxes = ["box1", "box2", "box3"].map((name, index) => named(name, `aaaabbbbccccddd${"abc"[index]}`));
const farm: Group = {
  id: "grp00000000-0000-4000-8000-000000000000",
  name: "farm",
  made: 0,
  members: boxes.map((each) => ({ id: each.sandbox.id, name: each.sandbox.name, box: each })),
};
const withOneGone: Group = {
  ...farm,
  members: farm.members.map(({ id, name, box: held }) =>
    name === "box2" ? { id, name } : { id, name, box: held as Box },
  ),
};
const known: Routes = { "GET /v1/groups/farm?exact=true": { value: farm } };

describe("p2prc group", () => {
  test("makes, changes, shows and forgets groups", async () => {
    const lab = new CliLab({
      routes: {
        "POST /v1/groups": { value: farm },
        "POST /v1/groups/farm/members": { value: farm },
        "DELETE /v1/groups/farm/members/box2": { value: withOneGone },
        "GET /v1/groups/farm": { value: withOneGone },
        "GET /v1/groups": { value: { groups: [withOneGone] } },
        "DELETE /v1/groups/farm": { value: farm },
      },
    });
    assert.deepEqual((await lab.p2prc("group", "create", "farm", "box1", "box2")).out, ["farm made, with 3 sandboxes"]);
    assert.deepEqual((await lab.p2prc("group", "add", "farm", "box3")).out, ["farm has 3 sandboxes now"]);
    assert.equal((await lab.p2prc("group", "remove", "farm", "box2")).exit, 0);
    const { out } = await lab.p2prc("group", "show", "farm");
    assert.match(out[1] ?? "", /^box1 {2}attic .* running$/);
    assert.match(out[2] ?? "", /^box2 +- +- +has ended$/);
    assert.match((await lab.p2prc("group", "ls")).out[1] ?? "", /^farm {2}3 +box1 box2 box3 \(1 of them ended\)$/);
    assert.deepEqual((await lab.p2prc("group", "rm", "farm")).out, [
      "farm is no group any more; its 3 sandboxes live on",
    ]);
    assert.deepEqual(lab.asked[0]?.body, { name: "farm", boxes: ["box1", "box2"] });
  });

  test("forgets several, or none where one of the words is none", async () => {
    const herd: Group = { ...farm, name: "herd", members: [] };
    const lab = new CliLab({
      routes: {
        "GET /v1/groups/farm": { value: farm },
        "GET /v1/groups/herd": { value: herd },
        "DELETE /v1/groups/farm": { value: farm },
        "DELETE /v1/groups/herd": { value: herd },
      },
    });
    const taken = await lab.p2prc("group", "rm", "farm", "box1");
    assert.deepEqual(
      [taken.exit, taken.err],
      [
        2,
        ["p2prc: box1 is a sandbox in farm: nothing was removed", "hint: `p2prc group remove farm box1` takes it out"],
      ],
    );
    assert.equal((await lab.p2prc("group", "delete", "farm", "nothing")).exit, 3);
    assert.ok(!lab.asked.some(({ route }) => route.startsWith("DELETE")));
    const { out } = await lab.p2prc("group", "delete", "farm", "herd");
    assert.deepEqual(out, [
      "farm is no group any more; its 3 sandboxes live on",
      "herd is no group any more; its 0 sandboxes live on",
    ]);
  });

  test("carries ports between its sandboxes, and tells who is away, and who has no names", async () => {
    const member = { id: "a", address: "127.77.0.1", state: "joined", names: true, taken: [], ports: [] };
    const counts = { open: 1, total: 3, bytes: 2_048 };
    const tunnel = {
      group: "farm",
      members: [
        { ...member, name: "box1", ports: [8_786, 9_000, 9_001].map((port) => ({ port, ...counts })) },
        { ...member, name: "box2", names: false, taken: ["127.77.0.1:8786 EADDRINUSE"] },
        { ...member, name: "box3", state: "away", why: "attic cannot be reached" },
      ],
      open: 3,
      refused: 1,
    };
    const lab = new CliLab({
      routes: {
        "GET /v1/groups/farm/tunnel": { value: tunnel },
        "POST /v1/groups/farm/tunnel": { value: tunnel },
        "DELETE /v1/groups/farm/tunnel": { value: tunnel },
      },
    });
    const { out, err } = await lab.p2prc("group", "tunnel", "farm", "--port", "8786", "--port", "box2:9000-9001");
    assert.deepEqual(lab.asked[0]?.body, {
      ports: [
        { first: 8_786, last: 8_786 },
        { first: 9_000, last: 9_001, box: "box2" },
      ],
    });
    assert.match(out[1] ?? "", /^box1 {2}127\.77\.0\.1 {2}joined {2}8786 9000-9001 {2}9 +6KiB$/);
    assert.deepEqual(err, [
      "3 open now, 1 that found nobody",
      "box3 is away, and joins when it is back: attic cannot be reached",
      "names cannot be written down in box2 (its /etc/hosts): use the addresses there",
      "something in box2 has the place of others: 127.77.0.1:8786 EADDRINUSE",
    ]);
    const shown = await lab.p2prc("group", "tunnel", "farm", "--json");
    assert.deepEqual(JSON.parse(shown.out.join("")), tunnel);
    assert.deepEqual((await lab.p2prc("group", "tunnel", "farm", "--stop")).out, [
      "nothing is carried between the sandboxes of farm any more",
    ]);
  });

  for (const words of [
    "tunnel",
    "tunnel farm more",
    "tunnel farm --port 0",
    "tunnel farm --port 70000",
    "tunnel farm --port 9-8",
    "tunnel farm --port x",
    "tunnel farm --port 1 --stop",
    "show farm --port 1",
    "rm farm --stop",
  ]) {
    test(`refuses "${words}" before anybody is asked`, async () => {
      const lab = new CliLab();
      const { exit } = await lab.p2prc("group", ...words.split(" "));
      assert.deepEqual([exit, lab.asked], [2, []]);
    });
  }

  for (const words of ["create", "add farm", "remove farm", "show", "rm", "ls farm", "explode farm"]) {
    test(`refuses "${words}" before anybody is asked`, async () => {
      const lab = new CliLab();
      const { exit } = await lab.p2prc("group", ...words.split(" "));
      assert.deepEqual([exit, lab.asked], [2, []]);
    });
  }

  test("prints what the first P2PRC printed", async () => {
    const empty = { ...farm, members: [] };
    const nodes = [{ id: "n", addresses: ["192.0.2.7"], port: 8088 }];
    const lab = new CliLab({
      routes: {
        "POST /v1/groups": { value: empty },
        "GET /v1/groups": { value: { groups: [farm] } },
        "GET /v1/nodes": { value: { nodes, strangers: 0 } },
        "DELETE /v1/groups/farm": { value: farm },
      },
    });
    assert.deepEqual(JSON.parse((await lab.p2prc("--cgroup")).out.join("\n")), { ID: farm.id, TrackContainer: null });
    const { Groups } = JSON.parse((await lab.p2prc("--groups")).out.join("\n")) as {
      Groups: { TrackContainer: object[] }[];
    };
    const [first] = Groups[0]?.TrackContainer ?? [];
    assert.deepEqual(Object.keys(first ?? {}), ["ID", "Container", "IpAddress"]);
    assert.deepEqual(
      { ...first, Container: 0 },
      { ID: boxes[0]?.sandbox.id, Container: 0, IpAddress: "192.0.2.7:8088" },
    );
    assert.deepEqual((await lab.p2prc("--rmgroup", "farm")).out, ["Success"]);
  });
});

describe("a group in the place of a sandbox", () => {
  test("runs a command everywhere, names before the lines, the first failure's code", async () => {
    const inside = new Insides({ box1: ["one\ntwo", 0], box2: ["", 3], box3: ["three\n", 4] });
    const lab = new CliLab({ routes: known, connect: inside.connect });
    const { exit, out, err } = await lab.p2prc("exec", "farm", "--", "uname", "-a");
    assert.deepEqual(out.toSorted(), ["box1  one", "box1  two", "box3  three"]);
    assert.deepEqual(err, ["p2prc: 2 of 3 failed: box2 (exit 3), box3 (exit 4)"]);
    assert.equal(exit, 3);
    assert.deepEqual(
      inside.started.map(({ argv }) => argv),
      [
        ["uname", "-a"],
        ["uname", "-a"],
        ["uname", "-a"],
      ],
    );
  });

  test("gives what is piped in to each, and lets go of it when all have ended", async () => {
    const inside = new Insides({ box1: ["", 0], box3: ["", 0] }, { untilInput: true });
    const said = Buffer.alloc(300_000, "all of it");
    const stdin = new PassThrough();
    const lab = new CliLab({ routes: known, connect: inside.connect, streams: { ...silent(), stdin } });
    const ended = lab.p2prc("exec", "farm", "--", "cat");
    stdin.write(said);
    stdin.write("end"); // and nobody says that it was the last
    assert.equal((await ended).exit, 4); // box2 is away, and none waits for it
    assert.deepEqual(Object.keys(inside.input).toSorted(), ["box1", "box3"]);
    for (const heard of Object.values(inside.input)) assert.ok(heard.equals(Buffer.concat([said, Buffer.from("end")])));
    assert.ok(stdin.destroyed);
  });

  test("leaves what is piped in to others where it is told to, and refuses to share it among too many", async () => {
    const inside = new Insides({ box1: ["", 0], box2: ["", 0], box3: ["", 0] });
    const stdin = new PassThrough();
    stdin.write("the list of a loop");
    const lab = new CliLab({ routes: known, connect: inside.connect, streams: { ...silent(), stdin } });
    assert.equal((await lab.p2prc("exec", "-n", "farm", "cat")).exit, 0);
    assert.deepEqual([inside.input, stdin.readableLength], [{}, 18]);
    const many = { ...farm, members: Array.from({ length: 257 }, () => farm.members[0]) };
    const crowd = new CliLab({ routes: { "GET /v1/groups/farm?exact=true": { value: many } } });
    assert.equal((await crowd.p2prc("exec", "farm", "cat")).exit, failures["too-large"].exit);
  });

  test("runs where it can and tells of the one that has ended", async () => {
    const inside = new Insides({ box1: ["", 0], box3: ["", 0] });
    const routes: Routes = { "GET /v1/groups/farm?exact=true": { value: withOneGone } };
    const { exit, err } = await new CliLab({ routes, connect: inside.connect }).p2prc("exec", "farm", "true");
    assert.equal(exit, 3);
    assert.match(err[0] ?? "", /^box2 has ended: `p2prc group remove farm box2`/);
    assert.match(err.at(-1) ?? "", /1 of 3 failed: box2 \(exit 3\)/);
    assert.equal(inside.started.length, 2);
  });

  test("goes on with the others where one cannot be reached", async () => {
    const inside = new Insides({ box1: ["", 0], box3: ["", 0] });
    const { exit, err } = await new CliLab({ routes: known, connect: inside.connect }).p2prc("exec", "farm", "true");
    assert.equal(exit, 4);
    assert.deepEqual(err, ["box2: attic does not answer", "p2prc: 1 of 3 failed: box2 (exit 4)"]);
  });

  test("takes no terminal, and is not empty", async () => {
    const routes: Routes = { "GET /v1/groups/farm?exact=true": { value: { ...farm, members: [] } } };
    assert.equal((await new CliLab({ routes }).p2prc("exec", "farm", "true")).exit, 3);
    assert.equal((await new CliLab({ routes: known }).p2prc("exec", "-t", "farm", "true")).exit, 2);
    assert.equal((await new CliLab({ routes: known }).p2prc("exec", "farm")).exit, 2);
  });

  test("is logged, extended and removed as a whole", async () => {
    const routes: Record<string, unknown> = { ...known, [`DELETE /v1/groups/${farm.id}`]: { value: farm } };
    for (const each of boxes) {
      const { id, name } = each.sandbox;
      routes[`GET /v1/boxes/${id}/logs?lines=50&follow=false`] = { text: `hello from ${name}` };
      routes[`POST /v1/boxes/${id}/extend`] = { value: each };
      routes[`DELETE /v1/boxes/${id}`] = { value: { id, name, node: each.node, done: true } };
    }
    const lab = new CliLab({ routes: routes as Routes });
    const said = (await lab.p2prc("logs", "farm")).out.toSorted();
    assert.deepEqual(said, ["box1  hello from box1", "box2  hello from box2", "box3  hello from box3"]);
    assert.equal((await lab.p2prc("extend", "farm", "4h")).out.length, 3);
    const { exit, out } = await lab.p2prc("rm", "farm");
    assert.deepEqual([exit, out.length, lab.asked.at(-1)?.route], [0, 3, `DELETE /v1/groups/${farm.id}`]);
  });

  test("stays while one of its sandboxes could not be removed", async () => {
    const lab = new CliLab({ routes: known });
    assert.equal((await lab.p2prc("rm", "farm")).exit, 3);
    assert.ok(!lab.asked.some(({ route }) => route.startsWith("DELETE /v1/groups")));
  });

  test("is entered by ssh at its first that lives", async () => {
    const first = boxes[0] as Box;
    const lab = new CliLab({ routes: { ...known, [`GET /v1/boxes/${first.sandbox.id}`]: { value: first } } });
    assert.equal((await lab.p2prc("ssh", "farm", "--", "true")).exit, 0);
    assert.match(lab.ran.at(-1) ?? "", /-- aaaabbbbccccddda\.p2prc true$/);
  });

  test("is copied into everywhere", async () => {
    const asked: string[] = [];
    const connect = (target: string) => {
      asked.push(target.slice(0, target.indexOf("?") < 0 ? undefined : target.indexOf("?")));
      return new Failure("not-allowed", "no");
    };
    const { exit } = await new CliLab({ routes: known, connect }).p2prc("cp", import.meta.filename, "farm:x");
    assert.equal(exit, 6);
    assert.deepEqual(
      asked.toSorted().map((one) => one.split("/")[0]),
      ["box-files:box1", "box-files:box2", "box-files:box3"],
    );
  });
});

describe("p2prc touch --count", () => {
  const routes = (touch: Routes[string]): Routes => ({
    "GET /v1/boxes?ask=false": { value: { boxes: [boxes[1]] } },
    "POST /v1/groups": { value: farm },
    [`POST /v1/groups/${farm.id}/members`]: { value: farm },
    [`DELETE /v1/groups/${farm.id}`]: { value: farm },
    "POST /v1/boxes": touch,
  });
  const made = (body: unknown) => ({ steps: [{ result: named((body as { name: string }).name, sandbox.id) }] });

  test("starts so many, with free names, each on the next node, in a group", async () => {
    const lab = new CliLab({ routes: routes(made) });
    const { exit, out } = await lab.p2prc(..."touch --count 3 --near --group farm".split(" "));
    assert.equal(exit, 0);
    assert.deepEqual(
      out
        .join("\n")
        .match(/^box\d/gm)
        ?.toSorted(),
      ["box1", "box3", "box4"],
    );
    const touched = lab.asked.filter(({ route }) => route === "POST /v1/boxes").map(({ body }) => body);
    assert.deepEqual(touched, [
      { near: true, turn: 0, name: "box1" },
      { near: true, turn: 1, name: "box3" },
      { near: true, turn: 2, name: "box4" },
    ]);
    assert.equal(lab.asked.at(-1)?.route, `POST /v1/groups/${farm.id}/members`);
  });

  test("keeps those that started when others do not", async () => {
    const lab = new CliLab({
      routes: routes((body) => ((body as { name: string }).name === "x2" ? new Failure("busy", "full") : made(body))),
    });
    const { exit, out, err } = await lab.p2prc(..."touch attic --count 3 --name x".split(" "));
    assert.deepEqual([exit, out.filter((line) => /^x\d/.test(line)).length, err], [7, 2, ["x 2 of 3: full"]]);
  });

  test("takes a group back that nothing came into", async () => {
    const lab = new CliLab({ routes: routes(new Failure("busy", "full")) });
    assert.equal((await lab.p2prc(..."touch --near --count 2 --group farm".split(" "))).exit, 7);
    assert.equal(lab.asked.at(-1)?.route, `DELETE /v1/groups/${farm.id}`);
    assert.equal((await lab.p2prc(..."touch --near --group farm".split(" "))).exit, 7);
    assert.equal(lab.asked.at(-1)?.route, `DELETE /v1/groups/${farm.id}`);
  });

  test("takes another name where somebody was quicker, and makes none that has no name", async () => {
    const taken = new Failure("conflict", "taken");
    const lab = new CliLab({
      routes: routes((body) => ((body as { name: string }).name === "box1" ? taken : made(body))),
    });
    assert.match((await lab.p2prc("touch", "attic", "--count", "1")).out[0] ?? "", /^box3 on attic/);
    const { exit } = await lab.p2prc("touch", "attic", "--count", "100", "--name", "n".repeat(30));
    assert.equal(exit, 2);
  });
});

describe("prefixed", () => {
  test("writes whole lines, in whatever pieces they come, and a long one in parts", async () => {
    const to = new PassThrough();
    const text = to.setEncoding("utf8").toArray();
    const from = prefixed(to, "box  ");
    for (const piece of ["a", "b\nc\n\n", "d".repeat(65_537)]) from.write(Buffer.from(piece));
    await ended(from);
    to.end();
    assert.equal((await text).join(""), `box  ab\nbox  c\nbox  \nbox  ${"d".repeat(65_536)}\nbox  d\n`);
  });
});

function named(name: string, id: string): Box {
  return { ...box, sandbox: { ...sandbox, name, id } } as Box;
}

function silent() {
  const sink = () => new PassThrough().resume();
  return { stdout: sink(), stderr: sink(), setRaw: async () => undefined };
}

/** What commands in sandboxes write, and how they end; one that is not named cannot be reached. */
class Insides {
  readonly started: { readonly argv: readonly string[] }[] = [];
  /** By sandbox. */
  readonly input: Record<string, Buffer> = {};
  readonly #said: Readonly<Record<string, readonly [string, number]>>;
  readonly #untilInput: boolean;

  /** @param options.untilInput each ends when its input ends with "end", not at once */
  constructor(said: Readonly<Record<string, readonly [string, number]>>, { untilInput = false } = {}) {
    this.#said = said;
    this.#untilInput = untilInput;
  }

  readonly connect: NonNullable<LabOptions["connect"]> = (target): Duplex | Failure => {
    const name = target.replace("box-exec:", "");
    const said = this.#said[name];
    if (said === undefined) return new Failure("unreachable", "attic does not answer");
    const [near, far] = duplexPair();
    const reader = new FrameReader();
    const end = () => {
      far.write(encodeFrame("stdout", Buffer.from(said[0])));
      far.end(encodeFrame("end", Buffer.from(JSON.stringify({ kind: "exited", code: said[1] }))));
    };
    far.on("data", (bytes: Buffer) => {
      for (const { kind, content } of reader.take(bytes)) {
        if (kind === "start") {
          this.started.push(JSON.parse(String(content)) as { argv: readonly string[] });
          if (!this.#untilInput) end();
        }
        if (kind !== "stdin") continue;
        this.input[name] = Buffer.concat([this.input[name] ?? Buffer.alloc(0), content]);
        if (content.subarray(-3).equals(Buffer.from("end"))) end();
      }
    });
    return near;
  };
}
