import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { find, read, readJson } from "./repository.ts";

interface Entry {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

describe("each lock file", () => {
  test("names no registry, so that it works behind any mirror", () => {
    for (const file of find("{package-lock.json,tools/*/package-lock.json}")) {
      assert.deepEqual(
        packages(file).filter(([, { resolved }]) => resolved !== undefined),
        [],
        file,
      );
      const hosts = read(file).match(/"(?!url")[^"]+": "(?:https?:|git[+:@])[^"]*"/g);
      assert.equal(hosts, null, file);
    }
  });

  test("pins the content of every package that is installed", () => {
    for (const file of find("{package-lock.json,tools/*/package-lock.json}")) {
      // Other platforms' binaries may lack it: a mirror did not have them (tools/lock.mjs).
      const loose = packages(file).filter(([path, { integrity, optional }]) => path !== "" && !integrity && !optional);
      assert.deepEqual(loose, [], file);
    }
  });

  test("runs no code of a package when it is installed, and needs none", () => {
    for (const file of find("{package-lock.json,tools/*/package-lock.json}")) {
      const scripted = packages(file).filter(([, { hasInstallScript }]) => hasInstallScript === true);
      assert.deepEqual(
        scripted.filter(([path]) => !workWithoutTheirScripts.includes(path)),
        [],
        file,
      );
    }
    assert.match(read(".npmrc"), /^ignore-scripts=true$/m);
  });

  test("says what package.json says, and that says one version each", () => {
    const manifest = readJson("package.json") as Entry;
    const [, root] = packages("package-lock.json").find(([path]) => path === "") ?? [];
    assert.deepEqual(root?.dependencies, manifest.dependencies);
    assert.deepEqual(root?.devDependencies, manifest.devDependencies);
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    assert.deepEqual(
      versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
      [],
    );
  });
});

/** dockerode brings them: a faster cipher and a look at the processor for ssh2, a check of versions for protobufjs. */
const workWithoutTheirScripts = ["node_modules/ssh2", "node_modules/cpu-features", "node_modules/protobufjs"];

function packages(file: string): [string, Entry][] {
  return Object.entries((readJson(file) as { packages: Record<string, Entry> }).packages);
}
