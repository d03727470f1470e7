/** How much of images each guest may leave on this node. */

import { exceeds, Failure, formatSize } from "../../core/index.ts";
import type { LendLimits } from "../contract.ts";
import { admitPushed } from "../lease/admission.ts";
import { DISK_RESERVE_BYTES, type Guest, type Machine, promisedDisk, total } from "../lease/house.ts";
import { spelledOut } from "../lease/image-list.ts";
import type { Lease } from "../lease/lease.ts";
import type { ImageBook } from "./image-book.ts";

export interface ImageQuotaDeps {
  readonly book: ImageBook;
  readonly leases: () => readonly Lease[];
  readonly limits: () => LendLimits;
  readonly machine: () => Machine;
}

export interface ImageQuotaOptions {
  /** Of one image, as it travels. @default 8 GiB */
  readonly maxImageBytes?: number;
  /** Of one image, unpacked; a guest's grant may say less. @default 32 GiB */
  readonly maxUnpackedBytes?: number;
  /** Of one guest. @default 64 */
  readonly maxImages?: number;
}

const GIB = 1024 ** 3;
/** Of one guest: as many as 64 images of 30 layers have that share none. */
const MAX_PARTS = 2_048;
/** Of one guest at the same time. */
const MAX_WRITING = 8;

export class ImageQuota {
  readonly #deps: ImageQuotaDeps;
  readonly #options: Required<ImageQuotaOptions>;

  constructor(deps: ImageQuotaDeps, options: ImageQuotaOptions) {
    const { maxImageBytes = 8 * GIB, maxUnpackedBytes = 32 * GIB, maxImages = 64 } = options;
    this.#deps = deps;
    this.#options = { maxImageBytes, maxUnpackedBytes, maxImages };
  }

  /** An image, or a part, of so many bytes. @throws {Failure} too-large */
  image(bytes: number): void {
    const { maxImageBytes } = this.#options;
    if (bytes <= maxImageBytes) return;
    throw new Failure(
      "too-large",
      `an image of ${formatSize(bytes)}, and ${formatSize(maxImageBytes)} is the most that is taken`,
    );
  }

  /** An image of that name. @returns how it is called here @throws {Failure} not-allowed, bad-argument, busy */
  name({ id, grant }: Guest, name: string): string {
    if (name.includes("@"))
      throw new Failure("bad-argument", "an image is pushed under a name, not a digest", { hint: "use `--name`" });
    if (grant.kind !== "own") admitPushed(name, this.#deps.limits());
    const wanted = spelledOut(name);
    const theirs = this.#deps.book.imagesOf(id);
    if (theirs.length < this.#options.maxImages || theirs.some((image) => image.name === wanted)) return wanted;
    throw new Failure("busy", `you have ${theirs.length} images there, and no more are kept`, {
      hint: "remove one with `p2prc image rm`",
    });
  }

  /**
   * One more part.
   * @param writing how many others are coming in just now
   * @throws {Failure} too-large, busy, not-allowed, disk-full
   */
  part(guest: Guest, { digest, size }: { readonly digest: string; readonly size: number }, writing: number): void {
    this.image(size);
    const others = this.#deps.book.partsOf(guest.id).filter((part) => part.digest !== digest);
    if (others.length >= MAX_PARTS)
      throw new Failure("busy", `${others.length} parts of images are kept for you, and no more`, {
        hint: "remove images with `p2prc image rm`",
      });
    if (writing >= MAX_WRITING)
      throw new Failure("busy", `${MAX_WRITING} parts are being sent already`, { hint: "one at a time is as fast" });
    const bytes = others.reduce((sum, part) => sum + part.size, size);
    this.#disk(guest, bytes, size);
  }

  /** @throws {Failure} not-allowed, disk-full */
  #disk({ id, grant }: Guest, images: number, more: number): void {
    const { leases, machine } = this.#deps;
    const mine = leases().filter(({ guest }) => guest === id);
    const [excess] = exceeds(grant, { diskBytes: total(mine, "diskBytes") + images });
    if (excess !== undefined)
      throw new Failure("not-allowed", `the grant does not allow it: ${excess.why}`, {
        hint: "remove images (`p2prc image rm`) or sandboxes, or ask the owner for more",
      });
    const free = machine().diskFreeBytes - DISK_RESERVE_BYTES - promisedDisk(leases());
    if (more > free)
      throw new Failure("disk-full", `that node has no room for ${formatSize(more)} more`, {
        hint: "choose another node, or ask its owner",
      });
  }

  /** As many bytes may come out of one image of theirs. */
  unpacked({ grant }: Guest): number {
    const { maxUnpackedBytes } = this.#options;
    return grant.kind === "own" ? maxUnpackedBytes : Math.min(maxUnpackedBytes, grant.diskBytes);
  }
}
