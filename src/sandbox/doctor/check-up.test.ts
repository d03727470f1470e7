import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkUp, type HostFacts, paths, programs } from "./check-up.ts";

const well: HostFacts = {
  platform: "linux",
  uid: 1000,
  user: "ada",
  files: new Map([
    [paths.appArmor, "0"],
    [paths.namespaces, "63000"],
    [paths.subUids, "root:1:65536\nada:100000:65536"],
    [paths.subGids, "1000:100000:65536"],
    [paths.controllers, "cpuset cpu io memory pids"],
  ]),
  programs: new Set(programs),
  sockets: new Map(),
};

describe("checkUp", () => {
  test("finds nothing wrong with a machine that is as it should be", () => {
    assert.deepEqual(complaints(well), []);
  });

  for (const [what, facts, words, fix] of [
    ["Ubuntu's AppArmor rule", file(paths.appArmor, "1"), /AppArmor/, /apparmor\.d/],
    ["a kernel without user namespaces", file(paths.namespaces, "0"), /kernel allows none/, /max_user_namespaces/],
    ["user namespaces for root alone", file(paths.clone, "0"), /root alone/, /unprivileged_userns_clone=1/],
    [
      "missing uid ranges",
      file(paths.subUids, "bob:1:65536"),
      /\/etc\/subuid names none for ada/,
      /add-subuids.* ada$/,
    ],
    ["a uid range that is too small", file(paths.subGids, "ada:1:1000"), /\/etc\/subgid/, /add-subgids/],
    ["no delegation of cgroups", file(paths.controllers, "cpu"), /memory, pids/, /Delegate=/],
    [
      "a docker socket of another group",
      { sockets: new Map([["/var/run/docker.sock", "refused"]]) },
      /ada may not/,
      /-aG docker ada/,
    ],
    ["missing tools", { programs: new Set(["bwrap", "nft", "pasta"]) }, /newuidmap, newgidmap are not/, /uidmap/],
  ] satisfies [string, Partial<HostFacts>, RegExp, RegExp][]) {
    test(`says what is the matter and how to mend it: ${what}`, () => {
      const [complaint, ...more] = complaints({ ...well, ...facts });
      assert.match(complaint?.words ?? "", words);
      assert.match(complaint?.fix ?? "", fix);
      assert.deepEqual(more, []);
    });
  }

  test("lets root do without what only others need", () => {
    assert.deepEqual(complaints({ ...well, uid: 0, user: "root", files: new Map([[paths.appArmor, "1"]]) }), []);
  });

  test("says that other systems take an engine", () => {
    assert.match(complaints({ ...well, platform: "darwin" })[0]?.words ?? "", /Docker/);
  });
});

function complaints(facts: HostFacts) {
  return checkUp(facts).filter(({ ok }) => !ok);
}

function file(path: string, content: string): Partial<HostFacts> {
  return { files: new Map([...well.files, [path, content]]) };
}
