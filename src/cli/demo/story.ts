/** What the demo shows, in its order: three machines, each of which knows only the next, and at the end one that uses them all. */

import { join } from "node:path";
import type { Io } from "../io.ts";
import { render } from "./render.ts";
import type { Stage } from "./stage.ts";

const machines = ["attic", "barn", "cellar"] as const;
/** A node is not its own guest: who draws with all three is a fourth, which lends nothing. */
const DESK = "desk";
type Machine = (typeof machines)[number] | typeof DESK;

/** All that are to be cleared away. */
export const everybody: readonly Machine[] = [...machines, DESK];

interface Listed {
  readonly nodes: readonly {
    readonly name: string;
    readonly id: string;
    readonly addresses: readonly string[];
    readonly port: number;
  }[];
}

/** @param sandboxes whether this machine can make them @returns where the picture is that they drew */
export async function story(
  stage: Stage,
  io: Io,
  { sandboxes }: { readonly sandboxes: boolean },
): Promise<string | undefined> {
  const say = narrator(io);
  say("Three machines, played by three folders on this one. Each runs the real program, with its own key.");
  say(
    "1. Each one lends itself",
    "`p2prc -s` would stay in the foreground; `--detach` comes back. 127.0.0.0/8 is allowed for this play only, and `--no-lan` keeps it from the neighbours.",
  );
  for (const machine of machines) await stage.play({ on: machine, words: serveWords(machine) });

  say(
    "2. Friends let friends in",
    "An invite is a link, good for one use. attic gets to know barn, and barn gets to know cellar. attic has never heard of cellar.",
  );
  await befriend(stage, "barn", "attic");
  await befriend(stage, "cellar", "barn");
  await stage.play({ on: "barn", words: ["update"] });

  say(
    "3. A walk through the network",
    "attic knows barn alone. It asks barn whom it knows, then asks those: hop by hop, and so finds cellar.",
  );
  await stage.play({ on: "attic", words: ["--us", "--hops", "2"] });
  const cellar = await find(stage, "cellar");

  say(
    "4. A stranger becomes a friend",
    "A name can be claimed by anybody, a key cannot. With `--key`, attic takes the one that it means, and no other.",
  );
  await stage.play({
    on: "attic",
    words: ["add", cellar.address, "--key", cellar.id],
    shown: ["add", cellar.address, "--key", `${cellar.id.slice(0, 8)}…`],
  });

  say("5. How near is it?", "Round trips over the link, then up to 50 MB each way, counted by the one that receives.");
  await stage.play({ on: "attic", words: ["ping", "cellar", "--count", "3"] });
  await stage.play({ on: "attic", words: ["speed", "cellar"] });
  await stage.play({ on: "attic", words: ["why", "cellar"] });

  say("6. What attic knows now", "The nearest first. `--ls` is the same list as the first P2PRC printed it.");
  await stage.play({ on: "attic", words: ["ls"] });
  await stage.play({ on: "attic", words: ["--ls"] });

  if (sandboxes) await borrow(stage, say);

  say(`${sandboxes ? 8 : 7}. The owner decides`, "barn sees who may use it, and ends it when it likes.");
  await stage.play({ on: "barn", words: ["grants"] });
  await stage.play({ on: "barn", words: ["revoke", "attic"] });
  return sandboxes ? await draw(stage, say) : undefined;
}

/** One sandbox on each of the three. */
async function draw(stage: Stage, say: ReturnType<typeof narrator>): Promise<string> {
  say(
    "9. Three nodes, one picture",
    "desk is a machine that only asks. All three let it in; it starts a sandbox on each, puts a small ray tracer there, and maps it over the strips of a picture: who is free takes the next strip.",
  );
  await stage.play({ on: DESK, words: serveWords(DESK) });
  await stage.play({ on: DESK, words: ["lend", "off"] });
  for (const machine of machines) await befriend(stage, machine, DESK);
  return await render(stage, DESK, machines.length);
}

async function borrow(stage: Stage, say: ReturnType<typeof narrator>): Promise<void> {
  say(
    "7. Run something there",
    "A sandbox on the nearest node that lends to attic: a shell by stock `ssh`, files both ways. `p2prc ssh-config --install` lets plain `ssh box.p2prc` find it; here the file is named.",
  );
  await stage.play({ on: "attic", words: ["touch", "--near", "--name", "box", "--network", "none"] });
  const config = join(stage.homeOf("attic"), "ssh_config");
  const inside = String.raw`hostname; expr 6 \* 7 > answer`;
  await stage.play({
    on: "attic",
    program: "ssh",
    words: ["-F", config, "box.p2prc", inside],
    shown: ["-F", "~/.p2prc/ssh_config", "box.p2prc", inside],
  });
  await stage.play({ on: "attic", words: ["exec", "box", "--", "cat", "answer"] });
  await stage.play({ on: "attic", words: ["cp", "box:answer", "answer"] });
  await stage.play({ on: "attic", program: "cat", words: ["answer"] });
  await stage.play({ on: "barn", words: ["ps", "--guests"] });
  await stage.play({ on: "attic", words: ["rm", "box"] });
}

function serveWords(machine: Machine): readonly string[] {
  return [
    "serve",
    "--detach",
    "--name",
    machine,
    "--listen",
    "127.0.0.1",
    "--port",
    "0",
    "--allow-network",
    "127.0.0.0/8",
    "--no-lan", // a play among folders is nobody else's business
  ];
}

async function befriend(stage: Stage, issuer: Machine, guest: Machine): Promise<void> {
  const link = (await stage.play({ on: issuer, words: ["invite"] })).trim();
  await stage.play({ on: guest, words: ["join", link], shown: ["join", `${link.slice(0, 14)}…`] });
}

/** Where it is and what its key is, as a script reads it. */
async function find(stage: Stage, name: Machine): Promise<{ readonly id: string; readonly address: string }> {
  const { out } = await stage.run({ on: "attic", words: ["ls", "--all", "--json"] });
  const node = (JSON.parse(out) as Listed).nodes.find((one) => one.name === name);
  if (node === undefined) throw new Error(`the walk did not find ${name}`);
  return { id: node.id, address: `${node.addresses[0]}:${node.port}` };
}

function narrator(io: Io): (title: string, words?: string) => void {
  return (title, words) => {
    io.out(wrapped(title, io.columns), "good");
    if (words !== undefined) io.out(wrapped(words, io.columns), "dim");
    io.out("");
  };
}

/** Broken at words, so that a narrow terminal does not break them elsewhere. */
function wrapped(text: string, columns: number): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + 1 + word.length > Math.min(columns, MAX_LINE)) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

/** Longer lines are hard to read. */
const MAX_LINE = 100;
