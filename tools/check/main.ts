/** `./check`: every step with its time, then the tests, whose summary is the end of what it prints. */

import { parseArgs } from "node:util";
import { environment } from "./run.ts";
import { steps } from "./steps.ts";
import { tests } from "./tests.ts";

const usage = `usage: ./check [--quick] [STEP…]

Without STEP: all of them, then all tests.
${[...steps, { name: "tests", summary: "node --test, the last step" }].map((s) => `  ${s.name.padEnd(10)}${s.summary}`).join("\n")}

  --quick   only the tests without real processes and networks
  --help
`;

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { quick: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
  });
  const unknown = positionals.find((name) => name !== "tests" && !steps.some((step) => step.name === name));
  if (values.help || unknown !== undefined) {
    (unknown === undefined ? process.stdout : process.stderr).write(usage);
    return unknown === undefined ? 0 : 2;
  }
  const chosen = (name: string) => positionals.length === 0 || positionals.includes(name);
  const failedSteps = await runSteps(chosen);
  Object.assign(process.env, { PATH: environment["PATH"] });
  const ok = chosen("tests") ? await tests({ quick: values.quick, failedSteps }) : failedSteps.length === 0;
  return ok ? 0 : 1;
}

/** All of them, also after a failure: one run tells everything. @returns the names of those that failed */
async function runSteps(chosen: (name: string) => boolean): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of steps.filter((step) => chosen(step.name))) {
    const start = performance.now();
    const { ok, output } = await run();
    const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
    console.log(`${ok ? "✔" : "✖"} ${name.padEnd(10)}${seconds} s`);
    if (!ok || output.startsWith("NOT")) console.log(output.trimEnd());
    if (!ok) failed.push(name);
  }
  if (failed.length > 0) console.log(`✖ failed: ${failed.join(", ")} (alone: ./check ${failed.join(" ")})`);
  return failed;
}

const code = await main(process.argv.slice(2));
process.stdout.write("", () => process.exit(code)); // whatever a test left open must not hold up the last line
