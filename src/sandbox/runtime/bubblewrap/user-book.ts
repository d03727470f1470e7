/** Who gets which users of the machine: never the same twice, where they are ours to give (`uid-ranges.ts`). */

import type { Profile } from "../runtime.ts";
import { unpackedUsers } from "./images/image-store.ts";
import { sandboxFolders } from "./sandbox-folder.ts";
import { freeRange, rangeFrom, singleUser, type SubIds, subRange, type Users } from "./uid-ranges.ts";

export interface UserBookDeps {
  /** The folder that all sandboxes lie in. */
  readonly root: string;
  /** The folder of images. */
  readonly images: string;
  /** Whose daemon this is. */
  readonly user: { readonly uid: number; readonly gid: number };
  readonly granted: SubIds | undefined;
}

export class UserBook {
  readonly #deps: UserBookDeps;
  /** Given, but perhaps not yet on disk. */
  readonly #given = new Set<number>();

  constructor(deps: UserBookDeps) {
    this.#deps = deps;
  }

  /** @throws {Failure} busy */
  async choose(profile: Profile): Promise<Users> {
    const { user, granted, root, images } = this.#deps;
    if (user.uid !== 0) return profile === "dev" && granted !== undefined ? subRange(user, granted) : singleUser(user);
    const records = await Promise.all((await sandboxFolders(root)).map((folder) => folder.read()));
    const written = [...records.map((record) => record?.users), ...(await unpackedUsers(images))];
    const base = freeRange(root, new Set([...written.flatMap((users) => users?.outer ?? []), ...this.#given]));
    this.#given.add(base);
    return profile === "dev" ? rangeFrom(base) : singleUser({ uid: base, gid: base });
  }

  /** They are on disk now, or were given back. */
  noted({ outer }: Users): void {
    this.#given.delete(outer);
  }
}
