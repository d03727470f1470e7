/**
 * What a person types about sandboxes, made values: names, images, GPUs. Nothing heavy is loaded here, since the
 * command line reads it before it asks anybody.
 */

import { cleanText, Failure, parseSize } from "../core/light.ts";

/** A DNS label, since it is a host name inside and in private URLs. */
export const NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$";
/** Registry reference or digest (the grammar of the OCI distribution spec), or `<name>` of a local archive. Never starts with a dash. */
export const IMAGE_PATTERN =
  "^[a-z0-9][a-z0-9._-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$";
/** The user of a sandbox, and the public half of its host key: they go into the settings of `ssh` and of Ansible, which both have a language of their own. */
export const USER_PATTERN = "^[A-Za-z_][A-Za-z0-9_.-]{0,63}$";
export const HOST_KEY_PATTERN = "^ssh-ed25519 [A-Za-z0-9+/]{68}$";
const MAX_IMAGE_LENGTH = 255;
const ID_LENGTH = 16;
const MAX_GPUS = 64;

export interface GpuWords {
  readonly count: number;
  readonly memoryBytes?: number;
  readonly model?: string;
}

/** @throws {Failure} bad-name */
export function parseBoxName(text: string): string {
  // One shaped like an id would hide the sandbox whose id that is.
  const isId = text.length === ID_LENGTH && /^[a-z2-7]+$/.test(text);
  if (new RegExp(NAME_PATTERN, "u").test(text) && !isId) return text;
  throw new Failure("bad-name", `not a name for a sandbox: "${cleanText(text, 64)}"`, {
    hint: "use 1 to 32 small letters, digits and dashes, no dash at either end; without --name it gets two words",
  });
}

/** @throws {Failure} bad-argument */
export function parseImage(text: string): string {
  if (text.length <= MAX_IMAGE_LENGTH && new RegExp(IMAGE_PATTERN, "u").test(text)) return text;
  throw new Failure("bad-argument", `not the name of an image: "${cleanText(text, 80)}"`, {
    hint: "write it as `debian:bookworm`, `ghcr.io/someone/thing:1.2` or `name@sha256:…`",
  });
}

/** `none`, `2` (how many), `12G` (at least that much memory), or part of a model's name. @throws {Failure} bad-argument */
export function parseGpuWish(text: string): GpuWords | undefined {
  const word = text.trim();
  if (word === "none" || word === "0") return undefined;
  if (/^\d+$/.test(word)) {
    if (Number(word) <= MAX_GPUS) return { count: Number(word) };
    throw new Failure("bad-argument", `no machine has ${cleanText(word, 20)} GPUs`, {
      hint: "a bare number is how many; for memory write `12G`",
    });
  }
  if (/^[\d.]+\s*[kmgt]i?b?$/i.test(word)) return { count: 1, memoryBytes: parseSize(word) };
  if (word !== "" && word.length <= 96 && cleanText(word, 96) === word && !word.startsWith("-"))
    return { count: 1, model: word };
  throw new Failure("bad-argument", `not a wish for a GPU: "${cleanText(text, 40)}"`, {
    hint: "write `--gpu` (any), `--gpu 2`, `--gpu 12G`, `--gpu 'RTX 4090'` or `--gpu none`",
  });
}
