import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { whyNoLab } from "../../../../test/lab/netns/index.ts";
import { CLOSED_4 } from "../closed-networks.ts";
import { egressCommand, egressFaults, LIST_COMMAND } from "./egress.ts";

const own = ["203.0.113.7/24", "198.18.0.1/15", "8.8.4.4/32", "2001:db8::1/64", "127.0.0.1/8"];

describe("egress rules", { skip: whyNoLab() }, () => {
  test("stand as they were written, and are found complete", () => {
    const listing = inNamespace(egressCommand({ own }));
    assert.deepEqual(egressFaults(listing, { own }), []);
  });

  test("take the place of those before them", () => {
    const listing = inNamespace(egressCommand({ own: [] }), egressCommand({ own }));
    assert.deepEqual(egressFaults(listing, { own }), []);
  });

  test("are missed when a network of the host is new", () => {
    const listing = inNamespace(egressCommand({ own: [] }));
    assert.deepEqual(egressFaults(listing, { own: ["8.8.8.8/24"] }), ["not refused any more: 8.8.8.0/24"]);
  });

  test("are missed when somebody took an element, a rule or a chain away", () => {
    const rules = egressCommand({ own });
    const faults = (tampering: string) => egressFaults(inNamespace(rules, tampering), { own }).join();
    assert.match(faults("delete element inet p2prc refused { 10.0.0.0/8 }"), /not refused any more: 10\.0\.0\.0\/8/);
    assert.match(faults("flush chain inet p2prc output"), /0 rules of 9/);
    assert.match(faults("flush chain inet p2prc input; delete chain inet p2prc input"), /nothing stops .* \(input\)/);
    assert.match(faults("add chain inet p2prc output { policy accept; }"), /nothing stops .* \(output\)/);
  });

  test("name every network that is not public", () => {
    for (const network of ["169.254.0.0/16", "10.0.0.0/8", "100.64.0.0/10", "192.168.0.0/16", "172.16.0.0/12"]) {
      assert.ok(CLOSED_4.includes(network), network);
    }
  });
});

/** What is listed after these commands, in a network namespace that ends with the process. */
function inNamespace(...commands: readonly string[]): string {
  const script = `while [ $# -gt 1 ]; do nft "$1" || exit 1; shift; done; nft -j -s "$1"`;
  return execFileSync("unshare", ["--net", "sh", "-c", script, "nft", ...commands, LIST_COMMAND], { encoding: "utf8" });
}
