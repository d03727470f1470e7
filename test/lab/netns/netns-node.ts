/**
 * The real program on a machine of a lab: `p2prc` in its namespace, with a home of its own.
 *
 * It is told nothing but what a person would tell it: no allowed networks, every address, the usual port. One switch
 * is a LAN, so a `NetnsLab` that plays the internet keeps nodes from looking for each other there; a `NatLab` need not.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { type Client, openClient } from "../../../src/client/index.ts";
import { type Internet, NatLab } from "./nat-lab.ts";
import type { HostName } from "./nat-topology.ts";
import type { NetnsHost } from "./netns-host.ts";
import { NetnsLab, type Topology } from "./netns-lab.ts";
import type { NetnsProcess } from "./netns-process.ts";

const BIN = join(import.meta.dirname, "../../../src/cli/bin.ts");
/** A second by itself; many that start side by side on a busy machine take their time. */
const READY_MS = 60_000;

export interface SaidThere {
  readonly exit: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface NetnsNodeOptions {
  /** Its home is in there. */
  readonly folder: string;
  readonly name: string;
  readonly lan: boolean;
}

export class NetnsNode {
  readonly host: NetnsHost;
  readonly home: string;
  readonly #folder: string;
  readonly #lan: boolean;
  #daemon: NetnsProcess | undefined;

  constructor(host: NetnsHost, { folder, name, lan }: NetnsNodeOptions) {
    this.host = host;
    this.#folder = folder;
    this.#lan = lan;
    this.home = join(folder, name);
  }

  /** Lends in the foreground. @returns once it listens, with what it says then */
  async serve(...words: readonly string[]): Promise<string> {
    const daemon = this.start("serve", ...words);
    this.#daemon = daemon;
    await daemon.says(/^to let somebody in/m, AbortSignal.timeout(READY_MS));
    return daemon.stdout;
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#daemon?.kill("SIGKILL");
    await this.#daemon?.ended;
  }

  async run(...words: readonly string[]): Promise<SaidThere> {
    const program = this.start(...words);
    const exit = await program.ended;
    return { exit, stdout: program.stdout, stderr: program.stderr };
  }

  /** What it prints with `--json`. @throws with what it said, when it fails */
  async json<T>(...words: readonly string[]): Promise<T> {
    const { exit, stdout, stderr } = await this.run(...words, "--json");
    if (exit !== 0) throw new Error(`p2prc ${words.join(" ")}: ended with ${exit}\n${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** To its daemon, which runs: sockets in a folder do not care for namespaces. */
  async client(signal: AbortSignal): Promise<Client> {
    return await openClient({ home: this.home, start: false }, signal);
  }

  /** Becomes a friend of `issuer`, by an invite that is made with these words. */
  async join(issuer: NetnsNode, ...words: readonly string[]): Promise<void> {
    const { link } = await issuer.json<{ link: string }>("invite", ...words);
    await this.json("join", link);
  }

  /** Runs `p2prc` with these words here. It dies with the lab. */
  start(...words: readonly string[]): NetnsProcess {
    return this.host.spawn([process.execPath, BIN, ...words], {
      env: {
        PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
        HOME: this.#folder,
        TMPDIR: this.#folder,
        NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? join(tmpdir(), "p2prc-netns-cache"),
        P2PRC_HOME: this.home,
        ...(this.#lan ? {} : { P2PRC_LAN: "no" }),
        TZ: "UTC",
      },
    });
  }
}

/** Anything with machines in it. */
interface Machines<Name extends string> extends AsyncDisposable {
  readonly hosts: Readonly<Record<Name, NetnsHost>>;
}

interface OpenNodes {
  /** Whether nodes look for each other on their LAN. @default true */
  readonly lan?: boolean;
}

/** A lab with a node on each machine, none of which runs yet. */
export class NetnsNodes<Name extends string, Lab extends Machines<Name> = NetnsLab<Name>> implements AsyncDisposable {
  readonly lab: Lab;
  readonly nodes: Readonly<Record<Name, NetnsNode>>;
  readonly #folder: string;

  static async open<Name extends string>(
    { lan = true, ...topology }: Topology<Name> & OpenNodes,
    signal: AbortSignal,
  ): Promise<NetnsNodes<Name>> {
    return await NetnsNodes.#in(() => NetnsLab.open(topology, signal), { lan });
  }

  /** On an internet with routers: `NetnsNodes.online("garage:public  attic:nat", {}, signal)`. */
  static async online<const Text extends string>(
    topology: Text,
    { lan = true, ...internet }: Internet & OpenNodes,
    signal: AbortSignal,
  ): Promise<NetnsNodes<HostName<Text>, NatLab<HostName<Text>>>> {
    return await NetnsNodes.#in(() => NatLab.open(topology, internet, signal), { lan });
  }

  static async #in<Name extends string, Lab extends Machines<Name>>(
    openLab: () => Promise<Lab>,
    { lan }: Required<OpenNodes>,
  ): Promise<NetnsNodes<Name, Lab>> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-netns-"));
    try {
      return new NetnsNodes<Name, Lab>(await openLab(), { folder, lan });
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(lab: Lab, { folder, lan }: Omit<NetnsNodeOptions, "name">) {
    this.lab = lab;
    this.#folder = folder;
    const made = Object.entries<NetnsHost>(lab.hosts).map(([name, host]) => [
      name,
      new NetnsNode(host, { folder, name, lan }),
    ]);
    this.nodes = Object.fromEntries(made) as Record<Name, NetnsNode>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
