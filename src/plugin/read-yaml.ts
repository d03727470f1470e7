/** YAML as the Python reads it that Ansible stands on: where plugins can run, it is there. Aliases are refused, since they grow. */

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { Failure } from "../core/index.ts";

const PROGRAM = `
import json, sys, yaml
source = sys.stdin.buffer.read()
if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(source)):
    sys.exit("aliases are not taken")
value = yaml.safe_load(source)
try:
    text = json.dumps(value, allow_nan=False)
except ValueError:
    sys.exit("a number in it is none, or has no end (.nan, .inf)")
sys.stdout.write(text)
`;
const TIME_MS = 10_000;

export interface Yaml {
  /** Of the file, to speak of. */
  readonly name: string;
  readonly source: string;
  /** Longer than any that a person writes. @default 10_000 */
  readonly timeMs?: number;
}

/** @throws {Failure} bad-argument, not-supported */
export async function readYaml({ name, source, timeMs = TIME_MS }: Yaml, signal: AbortSignal): Promise<unknown> {
  const child = spawn("python3", ["-I", "-c", PROGRAM], { stdio: ["pipe", "pipe", "pipe"], timeout: timeMs, signal });
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", reject);
  });
  child.stdin.on("error", () => undefined); // it says itself why it has not read on
  child.stdin.end(source);
  try {
    const [out, said, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    if (code === 0) return JSON.parse(out) as unknown;
    if (child.signalCode !== null) {
      throw new Failure("bad-argument", `${name} was not read: it takes longer than ${timeMs / 1_000} s`);
    }
    if (/No module named 'yaml'/u.test(said)) throw noPython();
    const why = said.trim().split("\n").slice(-3).join(" ").replaceAll(/\s+/gu, " ");
    throw new Failure("bad-argument", `${name} is not YAML: ${why.slice(0, 300)}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw noPython();
    throw error;
  }
}

function noPython(): Failure {
  return new Failure("not-supported", "YAML is read by python3 with PyYAML, which is not here", {
    hint: "install Ansible, which brings it (`sudo apt-get install ansible-core`), or write plugin.json",
  });
}
