/** A number that no program of this machine listens on now. It is a good guess, not a reservation. */

import { silentLog } from "../../base/index.ts";
import { Door } from "./door.ts";

export async function freePort(signal: AbortSignal): Promise<number> {
  const nobody = () => Promise.reject(new Error("a port that is only looked at has a visitor"));
  await using door = await Door.open({ kind: "tcp", port: 0 }, { connect: nobody, log: silentLog }, signal);
  return door.port ?? 0;
}
