/** What every part of a node stands on: its home (locked), its state, its key, its name. */

import type { DatabaseSync } from "node:sqlite";
import type { Clock, Log, Random, Scope } from "../base/index.ts";
import type { Config } from "../config/index.ts";
import { AllowedNetworks } from "../core/index.ts";
import type { Identity } from "../network/index.ts";
import type { RuntimeCandidate } from "../sandbox/index.ts";
import { type Home, lockHome, openDatabase, openName } from "../store/index.ts";
import type { LogFile } from "./log-file.ts";
import { openIdentity } from "./open-identity.ts";
import { OwnAddresses } from "./own-addresses.ts";
import type { TunnelKind } from "./tunnels.ts";

/** What is outside the node: the machine, time, chance, and who wants it to end. */
export interface World {
  readonly home: Home;
  readonly config: Config;
  readonly pid: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly logFile: LogFile;
  /** Asks for the end of the daemon. */
  readonly stop: () => void;
  /** Kinds of tunnel beside those of the rooms, as a bench brings. @default none */
  readonly tunnels?: readonly TunnelKind[];
  /** What may make sandboxes here. @default what is found on this machine */
  readonly runtimes?: readonly RuntimeCandidate[];
}

export interface Ground extends World {
  readonly database: DatabaseSync;
  readonly identity: Identity;
  readonly name: string;
  /** Made anew at each start. */
  readonly boot: string;
  readonly allowed: AllowedNetworks;
  readonly addresses: OwnAddresses;
  /** What a person should know, found while it was opened. */
  readonly warnings: readonly string[];
  readonly startedAt: number;
}

/** @throws {Failure} home-in-use, home-unusable, disk-full, bad-config */
export async function openGround(world: World, scope: Scope): Promise<Ground> {
  const { home, config, pid, clock, random, log } = world;
  scope.own(await lockHome(home, pid));
  const warnings: string[] = [];
  const onBroken = ({ message }: Error) => {
    log.error("the state was damaged and is begun anew", { why: message });
    warnings.push(message);
  };
  const database = openDatabase(home.state, { onBroken, clock });
  scope.defer(() => database.close());
  const identity = await openIdentity(home, random);
  const allowed = AllowedNetworks.parse(config.allowNetworks ?? []);
  return {
    ...world,
    database,
    identity,
    name: await openName(home, random, config.name),
    boot: Buffer.from(random.bytes(8)).toString("hex"),
    allowed,
    addresses: new OwnAddresses({ allowed, clock }),
    warnings,
    startedAt: clock.wallTime(),
  };
}
