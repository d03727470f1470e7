/**
 * The plugins of a home: `plugins/<name>/about.json`, and its files in `plugins/<name>/files/`. What is known of each is
 * written down when it is added, so that one that is broken hides no other.
 */

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { Clock } from "../base/index.ts";
import { cleanText, Failure } from "../core/index.ts";
import { diskFailure, writeFileAtomic } from "../store/index.ts";
import type { Listed, Origin, StoredPlugin } from "./contract.ts";
import { readPlugin } from "./read-plugin.ts";
import { parseGitPlace, takeGit } from "./take-git.ts";
import { takeFolder } from "./take-folder.ts";
import { takeTarFile } from "./take-tar.ts";

const NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/u;
/** More than anybody can tell apart. */
const MAX_PLUGINS = 200;

export interface PluginStoreDeps {
  /** The folder of the home. */
  readonly home: string;
  readonly clock: Clock;
  /** @default 200 */
  readonly maxPlugins?: number;
}

/** A newer state of a plugin, not kept yet. */
export interface Fetched extends AsyncDisposable {
  readonly plugin: StoredPlugin;
  /** Where its files are until it is kept or given up. */
  readonly files: string;
}

export class PluginStore {
  readonly #root: string;
  readonly #deps: PluginStoreDeps;

  constructor(deps: PluginStoreDeps) {
    this.#root = join(deps.home, "plugins");
    this.#deps = deps;
  }

  async list(): Promise<readonly Listed[]> {
    const names = await readdir(this.#root).catch(() => [] as string[]);
    const found = names.filter((name) => NAME.test(name)).toSorted((a, b) => (a < b ? -1 : 1));
    return await Promise.all(found.map((name) => this.#read(name)));
  }

  /** By its name or the start of it. @throws {Failure} not-found, ambiguous, bad-argument where it is broken */
  async find(text: string): Promise<StoredPlugin> {
    const { name, ...found } = await this.#named(text);
    if ("plugin" in found) return found.plugin;
    throw new Failure("bad-argument", `the plugin ${name} is broken: ${found.problem}`, {
      hint: `take it away with \`p2prc plugin rm ${name}\` and add it again`,
    });
  }

  filesOf(name: string): string {
    return join(this.#root, name, "files");
  }

  /** @param place a folder, an archive, or a git URL @throws {Failure} conflict, too-large, what is wrong with it */
  async add(
    place: string,
    { name }: { readonly name?: string | undefined },
    signal: AbortSignal,
  ): Promise<StoredPlugin> {
    await using fetched = await this.#fetch(place, name, signal);
    const taken = await stat(join(this.#root, fetched.plugin.name)).catch(() => undefined);
    if (taken !== undefined) {
      throw new Failure("conflict", `you have a plugin "${fetched.plugin.name}" already`, {
        hint: `see what is new with \`p2prc plugin update ${fetched.plugin.name}\`, or give this one another --name`,
      });
    }
    const { maxPlugins = MAX_PLUGINS } = this.#deps;
    if ((await this.list()).length >= maxPlugins) {
      throw new Failure("too-large", `there are ${maxPlugins} plugins already`, {
        hint: "`p2prc plugin rm` takes one away",
      });
    }
    return await this.keep(fetched);
  }

  /** What it would be now, from where it came. @throws {Failure} what is wrong with it */
  async fetchAgain(plugin: StoredPlugin, signal: AbortSignal): Promise<Fetched> {
    return await this.#fetch(plugin.origin.place, plugin.name, signal);
  }

  /** In the place of the one of its name. */
  async keep({ plugin, files }: Pick<Fetched, "plugin" | "files">): Promise<StoredPlugin> {
    const folder = join(this.#root, plugin.name);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await rm(join(folder, "files"), { recursive: true, force: true });
      await rename(files, join(folder, "files"));
    } catch (error) {
      throw diskFailure(error) ?? error;
    }
    await this.#write(plugin);
    return plugin;
  }

  /** The person has seen what it is. */
  async agree(plugin: StoredPlugin): Promise<void> {
    await this.#write({ ...plugin, agreed: plugin.digest });
  }

  /** Also a broken one. @throws {Failure} not-found, ambiguous */
  async remove(text: string): Promise<string> {
    const { name } = await this.#named(text);
    await rm(join(this.#root, name), { recursive: true, force: true });
    return name;
  }

  async #fetch(place: string, wanted: string | undefined, signal: AbortSignal): Promise<Fetched> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(this.#root, ".new-"));
    const giveUp = () => rm(folder, { recursive: true, force: true });
    const files = join(folder, "files");
    try {
      const origin = await this.#take(place, files, signal);
      const read = await readPlugin(files, signal);
      const name = wanted ?? read.name ?? nameFrom(place);
      if (!NAME.test(name)) {
        throw new Failure("bad-name", `not a name for a plugin: "${cleanText(name, 64)}"`, {
          hint: "use 1 to 32 small letters, digits and dashes, as in `--name vscode`",
        });
      }
      const plugin = { ...read, name, origin, digest: await digestOf(files), added: this.#deps.clock.wallTime() };
      return { plugin, files, [Symbol.asyncDispose]: giveUp };
    } catch (error) {
      await giveUp();
      throw diskFailure(error) ?? error;
    }
  }

  async #take(place: string, files: string, signal: AbortSignal): Promise<Origin> {
    const git = parseGitPlace(place);
    if (git !== undefined) {
      return { kind: "git", place, commit: await takeGit(git, files, { clock: this.#deps.clock, signal }) };
    }
    if (/^[a-z][a-z0-9+.-]*:/iu.test(place) && !/^[a-z]:[\\/]/iu.test(place)) {
      throw new Failure("not-allowed", `a plugin is not fetched by "${cleanText(place.split(":")[0] ?? "", 20)}:"`, {
        hint: "git is asked by https://, ssh://, git@host:path and file://; or name a folder or an archive",
      });
    }
    const path = resolve(place);
    const found = await stat(path).catch((cause: unknown) => {
      throw new Failure("not-found", `there is no "${path}"`, {
        hint: "a plugin comes from a folder, a .tar or .tar.gz, or a git URL",
        cause,
      });
    });
    if (found.isDirectory()) await takeFolder(path, files, signal);
    else await takeTarFile(path, files, signal);
    return { kind: found.isDirectory() ? "folder" : "tar", place: path };
  }

  async #named(text: string): Promise<Listed> {
    const wanted = text.trim().toLowerCase();
    const all = await this.list();
    const [whole] = all.filter(({ name }) => name === wanted);
    const begun = all.filter(({ name }) => name.startsWith(wanted));
    const [first, second] = begun;
    if (whole !== undefined) return whole;
    if (first !== undefined && second === undefined) return first;
    if (first === undefined || wanted === "") {
      throw new Failure("not-found", `you have no plugin "${cleanText(text, 80)}"`, {
        hint: "`p2prc plugin ls` lists those you have, `p2prc plugin add` adds one",
      });
    }
    const named = begun.slice(0, 5).map(({ name }) => name);
    throw new Failure("ambiguous", `"${cleanText(text, 80)}" may be ${named.join(" or ")}`, {
      hint: "type more of its name",
    });
  }

  async #read(name: string): Promise<Listed> {
    try {
      const about = JSON.parse(await readFile(join(this.#root, name, "about.json"), "utf8")) as StoredPlugin & {
        v?: unknown;
      };
      if (about.v !== 1) throw new Error("another p2prc wrote what is known of it");
      const { v: _, ...plugin } = about;
      await stat(join(this.#root, name, "files", plugin.playbook));
      return { name, plugin: { ...plugin, name } };
    } catch (error) {
      return { name, problem: cleanText((error as Error).message, 200) };
    }
  }

  async #write(plugin: StoredPlugin): Promise<void> {
    await writeFileAtomic(
      join(this.#root, plugin.name, "about.json"),
      `${JSON.stringify({ v: 1, ...plugin }, undefined, 2)}\n`,
    );
  }
}

/** `https://…/p2prc-vscode-browser.git#main` is vscode-browser. */
function nameFrom(place: string): string {
  const last = basename(
    place
      .replace(/#.*$/u, "")
      .replace(/[/\\]+$/u, "")
      .replaceAll("\\", "/")
      .replace(/^.*:/u, ""),
  );
  return last
    .replace(/\.(git|tar|tgz|tar\.gz)$/iu, "")
    .toLowerCase()
    .replace(/^p2prc[-_]/u, "")
    .replaceAll(/[^a-z0-9]+/gu, "-")
    .replaceAll(/^-|-$/gu, "")
    .slice(0, 32);
}

/** Over all files, in the order of their names. */
export async function digestOf(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.toSorted((a, b) => (a < b ? -1 : 1))) {
    const content = await readFile(file);
    hash.update(`${file.slice(folder.length).replaceAll("\\", "/")}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}
