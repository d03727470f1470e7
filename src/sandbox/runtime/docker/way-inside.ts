/** The way into a running container: the resident, started in it by the engine, as a byte stream on which it answers HTTP/2. */

import { Failure } from "../../../core/index.ts";
import { residentCommand } from "../../helper/open-helper.ts";
import { Attached } from "./attached.ts";
import type { InspectedContainer } from "./containers.ts";
import { type Engine, EngineError } from "./engine.ts";

/** Set by the resident itself, for whoever is started. `HOME` stays where we set it: the guest of `strict` may be in no /etc/passwd. */
const ITS_OWN = /^(?:USER|LOGNAME|SHELL|TERM|PWD|HOSTNAME)=/u;

/** What is run, with what the image and we give everybody inside, as `NAME=VALUE`; the last of a name counts. */
export function residentOf(env: readonly string[]): readonly string[] {
  const theirs = env.filter((variable) => variable.indexOf("=") > 0 && !ITS_OWN.test(variable));
  return residentCommand("--stdio", ...theirs.flatMap((variable) => ["--env", variable]));
}

/** The standard streams of a container's own first process. Before it is started: nothing that it says is missed then. */
export async function attach(engine: Engine, container: string, signal: AbortSignal): Promise<Attached> {
  const query = { stream: true, stdin: true, stdout: true, stderr: true };
  const call = { method: "POST", path: `/containers/${container}/attach`, query } as const;
  return new Attached(await engine.hijack(call, signal));
}

/** Podman says it with status 500. */
const NOT_RUNNING = /container state improper/u;

/** @throws {EngineError} @throws {Failure} runtime-failed, conflict: it is frozen */
export async function enter(engine: Engine, container: InspectedContainer, signal: AbortSignal): Promise<Attached> {
  const body = {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Cmd: residentOf(container.Config.Env ?? []),
  };
  try {
    const call = { method: "POST", path: `/containers/${container.Id}/exec`, body } as const;
    const { Id } = await engine.ask<{ readonly Id: string }>(call, signal);
    const start = { method: "POST", path: `/exec/${Id}/start`, body: { Detach: false, Tty: false } } as const;
    const attached = new Attached(await engine.hijack(start, signal));
    await answers(attached, signal);
    return attached;
  } catch (error) {
    if (error instanceof EngineError && (error.status === 409 || NOT_RUNNING.test(error.message))) {
      throw new Failure("conflict", "the sandbox is frozen, or does not run", { cause: error });
    }
    throw error;
  }
}

/** Resolves when the resident has said its first bytes (HTTP/2's settings), which stay unread. @throws {Failure} runtime-failed */
export async function answers(attached: Attached, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  const onEnd = () => {
    const complaint = attached.complaint === "" ? "" : `: ${attached.complaint.slice(-300)}`;
    reject(new Failure("runtime-failed", `the sandbox cannot be entered${complaint}`));
  };
  const onReadable = () => (attached.readableLength > 0 ? resolve() : onEnd());
  signal.addEventListener("abort", onAbort, { once: true });
  attached.on("readable", onReadable).once("close", onEnd).on("error", onEnd);
  try {
    await promise;
  } catch (error) {
    attached.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    attached.off("close", onEnd).off("readable", onReadable);
  }
}
