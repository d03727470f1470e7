import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromSeedFlags } from "./seed-flags.ts";

const cases: readonly (readonly [string, string])[] = [
  ["-s", "serve"],
  ["-s --name attic --port 0", "serve --name attic --port 0"],
  ["--home /x -s", "serve --home /x"],
  ["--relay no --runtime docker -s", "serve --relay no --runtime docker"],
  ["--us", "update --blocks"],
  ["--us --hops 4", "update --blocks --hops 4"],
  ["--hops 4 --us", "update --blocks --hops 4"],
  ["--ls", "ls --blocks"],
  ["--ls --json", "ls --blocks --json"],
  ["--us --ls", "update --blocks"],
  ["--touch 192.0.2.7 --ports 2 --GPU", "touch --seed 192.0.2.7 --ports 2 --gpu=1"],
  ["--touch=192.0.2.7", "touch --seed 192.0.2.7"],
  ["--touch --GPU 192.0.2.7", "touch --seed --gpu=1 192.0.2.7"],
  ["--cgroup", "group --seed create"],
  ["--CreateGroup --home /x", "group --seed create --home /x"],
  ["--groups", "group --seed ls"],
  ["--Groups", "group --seed ls"],
  ["--group grp1", "group --seed show grp1"],
  ["--Group=grp1", "group --seed show grp1"],
  ["--group grp1 --id box", "group --seed add grp1 box"],
  ["--id box --group grp1", "group --seed add grp1 box"],
  ["--group grp1 --rmcgroup --id box", "group --seed remove grp1 box"],
  ["--RemoveContainerGroup --Group grp1 --ID box", "group --seed remove grp1 box"],
  ["--rmgroup grp1", "group --seed rm grp1"],
  ["--RemoveGroup grp1", "group --seed rm grp1"],
  ["--rmcgroup", "group --seed remove"],
  ["--vp", "plugin --seed ls"],
  ["--plugin vscode --id grp1", "plugin --seed run vscode grp1"],
  ["--id box --ExecutePlugin vscode", "plugin --seed run vscode box"],
  ["--pp https://example.org/x", "plugin --seed add https://example.org/x"],
  ["--rp vscode", "plugin --seed rm vscode"],
  ["touch --near --group farm", "touch --near --group farm"],
  ["ls --all", "ls --all"],
  ["rename attic -s", "rename attic -s"],
  ["--home -s ls", "--home -s ls"],
  ["-- -s", "-- -s"],
  ["", ""],
];

describe("the flags of the first P2PRC", () => {
  for (const [before, after] of cases) {
    test(`${before || "nothing"} is ${after || "nothing"}`, () => {
      assert.deepEqual(fromSeedFlags(before.split(" ")), after.split(" "));
    });
  }
});
