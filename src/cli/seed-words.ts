/**
 * What the first P2PRC said about groups and plugins: flags that stood beside each other in any order, as in
 * `--group ID --rmcgroup --id BOX`. Each way of putting them is one of today's verbs.
 */

const WITH_WORD: ReadonlyMap<string, string> = new Map([
  ["--group", "group"],
  ["--Group", "group"],
  ["--rmgroup", "rmgroup"],
  ["--RemoveGroup", "rmgroup"],
  ["--plugin", "plugin"],
  ["--ExecutePlugin", "plugin"],
  ["--pp", "pull"],
  ["--PullPlugin", "pull"],
  ["--rp", "drop"],
  ["--RemovePlugin", "drop"],
  ["--id", "id"],
  ["--ID", "id"],
]);
const ALONE: ReadonlyMap<string, string> = new Map([
  ["--cgroup", "cgroup"],
  ["--CreateGroup", "cgroup"],
  ["--groups", "groups"],
  ["--Groups", "groups"],
  ["--vp", "plugins"],
  ["--ViewPlugins", "plugins"],
  ["--rmcgroup", "rmcgroup"],
  ["--RemoveContainerGroup", "rmcgroup"],
]);

/** Whether a word is one of these flags; `--id` alone says nothing yet. */
export function isSeedWord(word: string): boolean {
  const flag = word.split("=", 1)[0] ?? "";
  return ALONE.has(word) || (WITH_WORD.has(flag) && WITH_WORD.get(flag) !== "id");
}

/** Today's words for them. What is missing is missing there as well, and is told. */
export function fromSeedWords(argv: readonly string[]): readonly string[] {
  const said = new Map<string, string>();
  const rest: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const [flag = "", ...value] = (argv[index] ?? "").split("=");
    const taker = WITH_WORD.get(flag);
    const alone = ALONE.get(flag);
    if (taker !== undefined) said.set(taker, value.length > 0 ? value.join("=") : (argv[++index] ?? ""));
    else if (alone !== undefined) said.set(alone, "");
    else rest.push(argv[index] ?? "");
  }
  const [verb = "group", ...words] = pluginVerbOf(said) ?? ["group", ...verbOf(said)];
  return [verb, "--seed", ...words, ...rest];
}

function pluginVerbOf(said: ReadonlyMap<string, string>): readonly string[] | undefined {
  const [run, pull, drop, box] = [said.get("plugin"), said.get("pull"), said.get("drop"), said.get("id")];
  if (run !== undefined) return ["plugin", "run", run, ...(box === undefined ? [] : [box])];
  if (pull !== undefined) return ["plugin", "add", pull];
  if (drop !== undefined) return ["plugin", "rm", drop];
  return said.has("plugins") ? ["plugin", "ls"] : undefined;
}

function verbOf(said: ReadonlyMap<string, string>): readonly string[] {
  const [group, box, gone] = [said.get("group"), said.get("id"), said.get("rmgroup")];
  const member = box === undefined ? [] : [box];
  if (group !== undefined && said.has("rmcgroup")) return ["remove", group, ...member];
  if (group !== undefined) return [box === undefined ? "show" : "add", group, ...member];
  if (gone !== undefined) return ["rm", gone];
  return [said.has("cgroup") ? "create" : said.has("groups") ? "ls" : "remove"];
}
