/** What a sandbox may write on disk, made ready before anybody is inside, and given to whom it belongs. */

import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { SandboxSpec } from "../runtime.ts";
import { OWN_FILES } from "./images/entries.ts";
import { etcFiles, GUEST_ID, writeEtc } from "./made-etc.ts";
import type { SandboxFolder } from "./sandbox-folder.ts";
import type { Users } from "./uid-ranges.ts";

export interface LayerWords {
  readonly spec: SandboxSpec;
  readonly users: Users;
  readonly nameserver: string | undefined;
}

export async function fillLayer({ layer }: SandboxFolder, { spec, users, nameserver }: LayerWords): Promise<void> {
  const owned = (name: string, mode: number) => makeOwned(join(layer, name), mode, users.outer);
  const log = owned("log", 0o755);
  if (spec.image !== undefined) {
    // The kernel wants the first two empty and of one file system; what is in an image comes from it alone.
    await Promise.all([owned("upper", 0o755), owned("work", 0o700), owned("home", 0o755), owned("var-tmp", 0o1777)]);
    await Promise.all([log, mkdir(join(layer, "etc"), { recursive: true, mode: 0o755 })]);
    const texts = etcFiles({ ...spec, nameserver });
    const write = async (file: (typeof OWN_FILES)[number]) => {
      await writeFile(join(layer, file), `${texts[basename(file)] ?? ""}\n`, { mode: 0o644 });
      await give([join(layer, file)], users.outer);
    };
    await Promise.all(OWN_FILES.map(write));
    return;
  }
  const { name, profile } = spec;
  const guest = users.many && process.getuid?.() === 0 ? users.outer + GUEST_ID : users.outer;
  await Promise.all([
    log,
    owned("root", 0o700),
    makeOwned(join(layer, "home"), 0o755, guest),
    owned("var-tmp", 0o1777),
    writeEtc(join(layer, "etc"), { name, profile, nameserver }).then((paths) => give(paths, users.outer)),
  ]);
}

async function makeOwned(path: string, mode: number, owner: number): Promise<void> {
  await mkdir(path, { recursive: true, mode });
  await chmod(path, mode); // whatever our umask is
  await give([path], owner);
}

/** Only root can, and only root must: anybody else's sandboxes begin with what is their own. */
async function give(paths: readonly string[], owner: number): Promise<void> {
  if (process.getuid?.() === 0) await Promise.all(paths.map((path) => chown(path, owner, owner)));
}
