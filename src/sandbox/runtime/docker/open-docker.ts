/** Finds an engine on this machine, learns what it can, brings the helper to it, and puts the runtime together. */

import { access } from "node:fs/promises";
import { type Clock, isAbort, type Log, Scope } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import type { RuntimeFacts } from "../runtime.ts";
import type { SandboxId } from "../sandbox-id.ts";
import { watchAddresses } from "./address-watch.ts";
import { Companions } from "./companions.ts";
import { Containers } from "./containers.ts";
import { buildImage, DEFAULT_IMAGE, DOCKERFILE, type ImageRecipe } from "./default-image.ts";
import { DiskWatch } from "./disk-watch.ts";
import { DockerRuntime, type DockerRuntimeDeps } from "./docker-runtime.ts";
import { Engine } from "./engine.ts";
import { engineFacts, type EngineInfo } from "./engine-facts.ts";
import { engineSockets, type Environment } from "./find-engine.ts";
import { type EngineHelper, type HelperFolder, prepareHelper } from "./helper-image.ts";
import { type HostAddresses, hostAddresses } from "./host-addresses.ts";
import { Images } from "./images.ts";
import { openPodmanWays, type PodmanWays } from "./podman.ts";
import { hasStorageQuota } from "./storage-quota.ts";

export interface DockerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly helper: HelperFolder;
  /** The node's own folder. */
  readonly home: string;
  /** Whose sandboxes these are: this node's id. */
  readonly keeper: string;
  readonly environment: Environment;
}

export interface DockerOptions {
  /** Public ones. @default Quad9's and Cloudflare's */
  readonly nameServers?: readonly string[];
  /** The image of a sandbox that names none, built where it is missing. @default p2prc/default of this version */
  readonly defaultImage?: ImageRecipe;
  /** This host's own. @default what the system lists */
  readonly addresses?: () => HostAddresses;
}

const NAME_SERVERS = ["9.9.9.9", "1.1.1.1"];
const DEFAULT: ImageRecipe = { name: DEFAULT_IMAGE, dockerfile: DOCKERFILE };

/** @throws {Failure} not-supported: no engine answers, with where one was looked for */
export async function openDocker(
  deps: DockerDeps,
  options: DockerOptions,
  signal: AbortSignal,
): Promise<DockerRuntime> {
  const found = await findEngine(engineSockets(deps.environment), signal);
  const { engine, info, podman } = found;
  const helper = await prepareHelper(engine, deps.helper, signal);
  const storageQuota = await hasStorageQuota(engine, helper.image, signal);
  const rootful = ROOTFUL.has(engine.socketPath);
  const facts = engineFacts({ info, podman, storageQuota, filters: helper.filters, rootful });
  const podmanWays = podman ? await openPodmanWays(deps.home) : undefined;
  return assemble(deps, options, { ...found, helper, facts, storageQuota, podmanWays });
}

const ROOTFUL = new Set(["/var/run/docker.sock", "/run/podman/podman.sock"]);

interface Parts extends FoundEngine {
  readonly helper: EngineHelper;
  readonly facts: RuntimeFacts;
  readonly storageQuota: boolean;
  readonly podmanWays: PodmanWays | undefined;
}

function assemble(deps: DockerDeps, options: DockerOptions, parts: Parts): DockerRuntime {
  const { clock, log, keeper } = deps;
  const { engine, facts, helper, info, podman, storageQuota, podmanWays } = parts;
  const { nameServers = NAME_SERVERS, addresses = hostAddresses } = options;
  const kind = podman ? "podman" : "docker";
  const containers = new Containers(engine, keeper);
  const around = { keeper, image: helper.image, kind, nameServers } as const;
  const companions = new Companions({ engine, containers, around, egress: () => ({ own: addresses().networks }) });
  const disk = new DiskWatch({ containers, clock, log });
  const scope = new Scope();
  const runtime = new DockerRuntime({
    engine,
    containers,
    companions,
    facts,
    around: {
      kind,
      userNamespace: facts.walls.userNamespace,
      storageQuota,
      gvisor: !podman && info.Runtimes?.["runsc"] !== undefined, // Podman lists what it could use, and takes no choice
      keeper,
      helperVolume: helper.volume,
      podman: podmanWays,
    },
    image: imagesOf(engine, options.defaultImage ?? DEFAULT),
    forgetImage: (image, signal) => new Images(engine).forget(image, signal),
    addresses: () => addresses().addresses,
    clock,
    disk,
    onDispose: () => scope.close(),
  });
  const freeze = (id: SandboxId, s: AbortSignal) => runtime.freeze(id, s);
  const renew = (id: SandboxId, s: AbortSignal) => companions.renew(id, s);
  const networks = () => addresses().networks;
  scope.spawn((s) => ended(disk.run(storageQuota ? undefined : freeze, s), s));
  scope.spawn((s) => ended(watchAddresses({ networks, containers, renew, freeze, clock, log }, s), s));
  return runtime;
}

function imagesOf(engine: Engine, byDefault: ImageRecipe): DockerRuntimeDeps["image"] {
  const images = new Images(engine);
  return async ({ image: reference, pushed }, note, signal) => {
    if (pushed !== undefined) return await images.ensurePushed(pushed, note, signal);
    if (reference !== undefined) return await images.ensure(reference, note, signal);
    const here = await images.find(byDefault.name, signal);
    if (here !== undefined) return here;
    await buildImage(engine, { ...byDefault, note }, signal);
    return await images.ensure(byDefault.name, note, signal);
  };
}

/** What runs until it is aborted has then ended well. */
async function ended(work: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
  }
}

interface FoundEngine {
  readonly engine: Engine;
  readonly info: EngineInfo;
  readonly podman: boolean;
}

async function findEngine(sockets: readonly string[], signal: AbortSignal): Promise<FoundEngine> {
  const reasons: string[] = [];
  for (const socket of sockets) {
    try {
      await access(socket); // where there is none, nothing is loaded for it
      const engine = await Engine.open(socket);
      const [info, version] = await Promise.all([
        engine.ask<EngineInfo>({ method: "GET", path: "/info" }, signal),
        engine.ask<EngineVersion>({ method: "GET", path: "/version" }, signal), // half a second of Podman's
      ]);
      return { engine, info, podman: (version.Components ?? []).some(({ Name }) => /podman/iu.test(Name)) };
    } catch (error) {
      signal.throwIfAborted();
      reasons.push(`${socket}: ${reasonOf(error)}`);
    }
  }
  throw new Failure("not-supported", `no container engine answers (${reasons.join("; ")})`);
}

interface EngineVersion {
  readonly Components?: readonly { readonly Name: string }[] | null;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Failure ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  const known: Readonly<Record<string, string>> = {
    ENOENT: "not there",
    ECONNREFUSED: "nothing listens",
    EACCES: "no permission (it is for root and the group docker)",
  };
  return known[code ?? ""] ?? code ?? (error as Error).message;
}
