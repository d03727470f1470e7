/** Answers the person who asks whether this machine can lend safely. */

import type { FastifyPluginAsync } from "fastify";
import { admits } from "../../core/index.ts";
import { DoctorReply } from "../contract.ts";
import { checkUp, type HostFacts } from "./check-up.ts";

export interface DoctorDeps {
  readonly look: () => Promise<HostFacts>;
  /** The runtime that was chosen and what it says of itself; undefined where there is none. */
  readonly runtime: () => Promise<DoctorReply["runtime"]>;
}

export function serveDoctor({ look, runtime }: DoctorDeps): FastifyPluginAsync {
  return async (app) => {
    const config = { admits: admits.owner };
    app.get("/v1/doctor", { config, schema: { response: { 200: DoctorReply } } }, async (): Promise<DoctorReply> => {
      const chosen = await runtime();
      return { ...(chosen === undefined ? {} : { runtime: chosen }), findings: [...checkUp(await look())] };
    });
  };
}
