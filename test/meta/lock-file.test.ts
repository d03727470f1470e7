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

  test("holds no package that would run code when it is installed", () => {
    for (const file of find("{package-lock.json,tools/*/package-lock.json}")) {
      assert.deepEqual(
        packages(file).filter(([, { hasInstallScript }]) => hasInstallScript === true),
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

function packages(file: string): [string, Entry][] {
  return Object.entries((readJson(file) as { packages: Record<string, Entry> }).packages);
}
