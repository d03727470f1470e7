import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Offer } from "../contract.ts";
import { whyNot, type Wish } from "./fits.ts";

const GIB = 1024 ** 3;
const offer: Offer = {
  runtime: "docker",
  profiles: ["strict", "dev"],
  images: "registry",
  allowedImages: ["debian:*"],
  free: { cpus: 2, memoryBytes: 4 * GIB, diskBytes: 10 * GIB, sandboxes: 1 },
  gpus: [
    { index: 0, model: "NVIDIA GeForce RTX 4090", memoryBytes: 24 * GIB },
    { index: 1, model: "NVIDIA T4", memoryBytes: 16 * GIB },
  ],
  problems: [],
};

describe("whyNot", () => {
  for (const wish of [
    {},
    { cpus: 2, memoryBytes: 4 * GIB, diskBytes: 10 * GIB },
    { image: "debian:bookworm" },
    { gpu: { count: 2 } },
    { gpu: { count: 1, memoryBytes: 20 * GIB } },
    { gpu: { count: 1, model: "rtx 4090" } },
  ] satisfies Wish[]) {
    test(`finds nothing against ${JSON.stringify(wish)}`, () => assert.equal(whyNot(wish, offer), undefined));
  }

  for (const [wish, why] of [
    [{ cpus: 3 }, "3 cores are wanted, 2 are free"],
    [{ memoryBytes: 8 * GIB }, "8GiB of memory are wanted, 4GiB are free"],
    [{ diskBytes: 11 * GIB }, "11GiB of disk are wanted, 10GiB are free"],
    [{ image: "alpine:3" }, 'its owner does not allow the image "alpine:3"'],
    [{ gpu: { count: 3 } }, "3 GPUs are wanted, 2 are free"],
    [{ gpu: { count: 1, memoryBytes: 48 * GIB } }, "a GPU with 48GiB is wanted, the largest has 24GiB"],
    [{ gpu: { count: 1, model: "A100" } }, "has no A100 but NVIDIA GeForce RTX 4090, NVIDIA T4"],
    [{ gpu: { count: 2, memoryBytes: 20 * GIB } }, "2 GPUs are wanted, 1 are free"],
  ] satisfies [Wish, string][]) {
    test(`says against ${JSON.stringify(wish)} that ${why}`, () => assert.equal(whyNot(wish, offer), why));
  }

  test("says when there is no room, no profile, no GPU, no registry", () => {
    assert.match(whyNot({}, { ...offer, free: { ...offer.free, sandboxes: 0 } }) ?? "", /no room/);
    assert.match(whyNot({ profile: "dev" }, { ...offer, profiles: ["strict"] }) ?? "", /profile dev/);
    assert.match(whyNot({ gpu: { count: 1 } }, { ...offer, gpus: [] }) ?? "", /no GPU/);
    assert.match(
      whyNot({ image: "x" }, { ...offer, images: "archives", allowedImages: [] }) ?? "",
      /no image from a registry/,
    );
  });
});
