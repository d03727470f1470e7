/** A SandboxId names one sandbox on its owner's node: 16 letters and digits, drawn by the guest, so that asking twice makes one. */

import { Failure } from "../../core/index.ts";

declare const brand: unique symbol;
export type SandboxId = string & { readonly [brand]: "SandboxId" };

/** 80 bits in RFC 4648 base32, lower case: fits names of containers, folders, interfaces and DNS labels. */
export const SANDBOX_ID_PATTERN = "^[a-z2-7]{16}$";
const PATTERN = new RegExp(SANDBOX_ID_PATTERN, "u");

/** @throws {Failure} bad-argument */
export function parseSandboxId(text: string): SandboxId {
  if (isSandboxId(text)) return text;
  throw new Failure("bad-argument", `not a sandbox id: "${text}"`, {
    hint: "it has 16 letters and digits; `p2prc ps --json` shows it",
  });
}

export function isSandboxId(text: string): text is SandboxId {
  return PATTERN.test(text);
}

/** @param bytes 10 random ones */
export function sandboxIdFrom(bytes: Uint8Array): SandboxId {
  if (bytes.length !== 10) throw new RangeError(`a sandbox id takes 10 bytes, not ${bytes.length}`);
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  let value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let text = "";
  for (let index = 0; index < 16; index++, value >>= 5n) text = `${letters.charAt(Number(value & 31n))}${text}`;
  return text as SandboxId;
}
