/** The owner at their own daemon: `/v1/doctor`. */

import { type Static, Type } from "typebox";
import { runtimeKinds } from "../runtime/runtime.ts";
import { closed } from "./pieces.ts";

/** GET /v1/doctor (local): whether this machine can lend safely. */
export const DoctorReply = Type.Object(
  {
    /** Absent: no sandbox can be made here. */
    runtime: Type.Optional(
      Type.Object(
        { kind: Type.Enum([...runtimeKinds]), version: Type.String(), problems: Type.Array(Type.String()) },
        closed,
      ),
    ),
    findings: Type.Array(
      Type.Object(
        {
          about: Type.String(),
          ok: Type.Boolean(),
          words: Type.String(),
          /** What to type. */
          fix: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type DoctorReply = Static<typeof DoctorReply>;
