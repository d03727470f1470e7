/** From asking for a sandbox to the first byte of a shell in it, and what a command in it costs, beside what the engine takes. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { bubblewrapSkip } from "../test/support/bubblewrap-world.ts";
import { DockerLab, whyNoDocker } from "../test/support/docker-lab.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { alternate, median, quantile } from "./support/numbers.ts";
import { SandboxPair } from "./support/sandbox-pair.ts";

const ROUNDS = 15;
const IMAGE = "p2prc-test:tiny";
const BUBBLEWRAP = { touch: 150, exec: 60 };
/** Without which no resident can be up, on this machine in this moment. */
const FLOOR = ["--ro-bind", "/", "/", "--unshare-all", process.execPath, "--eval", "require('node:http2')"];
/** More than the engine itself takes. */
const DOCKER = { touch: 150, exec: 20 };

export const touch: Bench = {
  name: "touch",
  summary: "bubblewrap: a new sandbox to its first prompt, and `exec` of `true`",
  lacks: bubblewrapSkip,
  async run(note) {
    await using pair = await SandboxPair.open({ runtime: "bubblewrap" });
    note(`${ROUNDS} rounds`);
    const first = await touchMs(pair, {});
    const touched = await alternate(["touch", "floor"], ROUNDS, (name) =>
      name === "touch" ? touchMs(pair, {}) : timed(() => run("bwrap", FLOOR)),
    );
    await pair.touch({ name: "box" });
    const ran = await alternate(["exec"], ROUNDS, () => timed(() => pair.exec("box", "true")));
    await pair.remove("box");
    return [
      {
        title: "bubblewrap, from the client's call on",
        rows: [
          { what: "touch, the very first", "median ms": first },
          { what: "bwrap with a Node that loads HTTP/2", "median ms": median(touched.floor) },
          rowOf("touch to the first prompt byte", touched.touch, BUBBLEWRAP.touch),
          rowOf("exec of true to its end", ran.exec, BUBBLEWRAP.exec),
        ],
      },
    ];
  },
};

export const touchDocker: Bench = {
  name: "touch-docker",
  summary: "Docker: the same, beside `docker run` and `docker exec`",
  lacks: whyNoDocker,
  async run(note) {
    await using lab = await DockerLab.open({ userns: true });
    const host = `unix://${lab.engine.socketPath}`;
    await using pair = await SandboxPair.open({ runtime: "docker", environment: { DOCKER_HOST: host } });
    const docker = new DockerCommand(host);
    note(`${ROUNDS} rounds`);
    const wishes = { p2prc: { image: IMAGE, network: "none" }, networked: { image: IMAGE } } as const;
    const touched = await alternate(["p2prc", "networked", "docker"], ROUNDS, (name) =>
      name === "docker" ? docker.runMs() : touchMs(pair, wishes[name]),
    );
    await pair.touch({ name: "box", ...wishes.p2prc });
    const container = await docker.start();
    const ran = await alternate(["p2prc", "docker"], ROUNDS, (name) =>
      timed(() => (name === "docker" ? docker.exec(container) : pair.exec("box", "true"))),
    );
    await pair.remove("box");
    const [touchLimit, execLimit] = [median(touched.docker) + DOCKER.touch, median(ran.docker) + DOCKER.exec];
    return [
      {
        title: "Docker, from the client's call on",
        rows: [
          { what: "docker run --network none, the same", "median ms": median(touched.docker) },
          rowOf("touch to the first prompt byte", touched.p2prc, touchLimit),
          { what: "touch with a filtered network", "median ms": median(touched.networked) },
          { what: "docker exec of true", "median ms": median(ran.docker) },
          rowOf("exec of true to its end", ran.p2prc, execLimit),
        ],
      },
    ];
  },
};

/** The sandbox is gone again afterwards: that is not counted. */
async function touchMs(
  pair: SandboxPair,
  wish: { readonly image?: string; readonly network?: "none" },
): Promise<number> {
  const begun = performance.now();
  const { name } = (await pair.touch(wish)).sandbox;
  await pair.firstPromptByte(name);
  const ms = performance.now() - begun;
  await pair.remove(name);
  return ms;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

export function rowOf(what: string, values: readonly number[], limit: number): Row {
  const half = median(values);
  return {
    what,
    "median ms": half,
    "least ms": Math.min(...values),
    "p95 ms": quantile(values, 0.95),
    "at most": limit,
    verdict: verdict(half <= limit),
  };
}

const run = promisify(execFile);

class DockerCommand {
  readonly #host: readonly string[];

  constructor(host: string) {
    this.#host = ["--host", host];
  }

  async runMs(): Promise<number> {
    const name = `p2prc-bench-${process.pid}`;
    const begun = performance.now();
    const words = ["run", "--rm", "--tty", "--network", "none", "--name", name, IMAGE, "sh"];
    const child = spawn("docker", [...this.#host, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const ms = performance.now() - begun;
    child.stdout.resume();
    const exited = once(child, "exit");
    await run("docker", [...this.#host, "kill", name]);
    await exited;
    return ms;
  }

  async start(): Promise<string> {
    const words = ["run", "--detach", "--rm", "--network", "none", IMAGE, "sleep", "600"];
    return (await run("docker", [...this.#host, ...words])).stdout.trim();
  }

  async exec(container: string): Promise<void> {
    await run("docker", [...this.#host, "exec", container, "true"]);
  }
}
