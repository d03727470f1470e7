import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isImageAllowed } from "./image-list.ts";

describe("isImageAllowed", () => {
  test("takes a star for anything but a slash, so that no other registry slips in", () => {
    assert.ok(isImageAllowed("debian:12", ["debian:*"]));
    assert.ok(isImageAllowed("debian", ["debian:*"]));
    assert.equal(isImageAllowed("debian:5000/evil", ["debian:*"]), false);
    assert.equal(isImageAllowed("evil/debian:12", ["debian:*"]), false);
    assert.equal(isImageAllowed("debian-evil:12", ["debian:*"]), false);
  });

  test("takes two stars for anything below a registry", () => {
    assert.ok(isImageAllowed("registry.example/a/b:1", ["registry.example/**"]));
    assert.equal(isImageAllowed("registry.example.org/a:1", ["registry.example/**"]), false);
  });

  test("knows Docker's own registry by all of its names, and no tag as the latest", () => {
    for (const name of ["debian", "debian:latest", "docker.io/debian", "index.docker.io/library/debian:latest"])
      assert.ok(isImageAllowed(name, ["debian"]), name);
    assert.equal(isImageAllowed("debian:12", ["debian"]), false);
  });

  test("takes one star alone for all images, and an empty list for none", () => {
    assert.ok(isImageAllowed("registry.example/a/b@sha256:00", ["*"]));
    assert.equal(isImageAllowed("debian", []), false);
  });

  test("is done at once, however many stars there are", () => {
    assert.equal(isImageAllowed(`a${"a".repeat(250)}:1`, [`${"*a".repeat(100)}b`]), false);
  });

  test("allows each image that is listed as it stands, and needs no other pattern for it", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), part, (path, tag) => {
        const image = `${path.join("/")}:${tag}`;
        assert.ok(isImageAllowed(image, [image]));
        assert.ok(isImageAllowed(image, [`${path.join("/")}:*`]));
        assert.equal(isImageAllowed(`x${image}`, [image]), false);
      }),
    );
  });
});
