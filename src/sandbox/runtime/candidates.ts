/** What may make sandboxes on this machine. Each is loaded when it is tried: a node that only uses others needs none. */

import type { Clock, Log } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import { type Helper, openHelper, residentCommand } from "../helper/open-helper.ts";
import type { RuntimeCandidate } from "./pick-runtime.ts";
import type { RuntimeKind } from "./runtime.ts";

export interface CandidateDeps {
  readonly id: NodeId;
  /** The node's own folder. */
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string };
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined: whichever is best. */
  readonly wanted: RuntimeKind | undefined;
}

/** The quicker ones first: bubblewrap starts a sandbox in a tenth of the time. */
export function runtimeCandidates(deps: CandidateDeps): readonly RuntimeCandidate[] {
  const { id, clock, log, home, user, environment, platform, wanted } = deps;
  let opening: Promise<Helper> | undefined;
  const helper = (signal: AbortSignal) => {
    opening ??= openHelper(home, {}, signal).catch((error: unknown) => {
      opening = undefined; // a full disk may have room later
      throw error;
    });
    return opening;
  };
  const bubblewrap: RuntimeCandidate = {
    kind: "bubblewrap",
    open: async (signal) => {
      const { openBubblewrap } = await import("./bubblewrap/open-bubblewrap.ts");
      const { path: folder } = await helper(signal);
      const path = environment["PATH"] ?? "";
      return await openBubblewrap({ clock, log, home, user, helper: folder, residentCommand, path }, signal);
    },
  };
  const docker: RuntimeCandidate = {
    kind: wanted === "podman" ? "podman" : "docker",
    open: async (signal) => {
      const { openDocker } = await import("./docker/open-docker.ts");
      const asked = { clock, log, home, helper: await helper(signal), keeper: id, environment };
      const runtime = await openDocker(asked, {}, signal);
      const { kind } = runtime.facts;
      if (wanted === undefined || kind === wanted) return runtime;
      await runtime[Symbol.asyncDispose]();
      throw new Failure("not-supported", `${kind} answers there, and ${wanted} was chosen`);
    },
  };
  const here = platform === "linux" ? [bubblewrap, docker] : [];
  return here.filter(({ kind }) => wanted === undefined || wanted === kind);
}
