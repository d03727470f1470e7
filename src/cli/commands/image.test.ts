import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../../test/support/cli-lab.ts";

const held = { name: "mine:latest", digest: `sha256:${"a".repeat(64)}`, bytes: 2e6, layers: 1, pushed: 0 };
const routes = {
  "GET /v1/nodes/attic/images": { value: { images: [held] } },
  "DELETE /v1/nodes/attic/images?name=mine": { value: held },
};

describe("p2prc image", () => {
  test("lists what one has on a node, and takes it away", async () => {
    const lab = new CliLab({ routes });
    const { out } = await lab.p2prc("image", "ls", "attic");
    assert.match(out[1] ?? "", /^mine:latest +sha256:a{12} +2\.0 MB +1 +1970-01-01 00:00$/);
    assert.deepEqual((await lab.p2prc("image", "rm", "mine", "attic")).out, ["mine:latest is no longer on attic"]);
  });

  for (const words of ["push mine", "push a b c", "push -x attic", "push a$(b) attic", "ls", "rm mine", "pull a b"])
    test(`refuses ${words} before anybody is asked`, async () => {
      const lab = new CliLab({ routes });
      assert.deepEqual([(await lab.p2prc("image", ...words.split(" "))).exit, lab.asked], [2, []]);
    });
});
