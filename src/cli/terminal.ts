/**
 * An Io on the streams of a terminal: lines made fit to show, colours for people only, and progress
 * that appears after a second and leaves nothing behind.
 */

import type { Writable } from "node:stream";
import type { Clock } from "../base/index.ts";
import type { Io, Style } from "./io.ts";

export interface Stream extends Pick<Writable, "write"> {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface TerminalDeps {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export type Terminal = Pick<Io, "out" | "err" | "progress" | "columns" | "interactive"> & {
  /** Takes a progress line off the screen. */
  clear(): void;
};

const STYLES = { bold: "1", dim: "2", good: "32", bad: "31", warn: "33" } as const satisfies Record<Style, string>;
/** What moves the cursor, turns the writing round or is not seen. Tabs and line ends are ours. */
const UNFIT = /[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?![\t])\p{Cc}/gu;

export function terminal({ stdout, stderr, environment, clock, signal }: TerminalDeps): Terminal {
  const progress = new ProgressLine({ stderr, clock, signal });
  const write = (stream: Stream, text: string, style: Style | undefined) => {
    progress.clear();
    const lines = text.split("\n").map((line) => paint(line.replace(UNFIT, ""), style, { stream, environment }));
    stream.write(`${lines.join("\n")}\n`);
  };
  return {
    out: (text, style) => write(stdout, text, style),
    err: (text, style) => write(stderr, text, style),
    progress: (text) => progress.show(text.replace(UNFIT, "")),
    clear: () => progress.clear(),
    columns: stdout.columns ?? 80,
    interactive: stdout.isTTY === true,
  };
}

/** https://no-color.org: any value that is not empty means no. */
function paint(
  line: string,
  style: Style | undefined,
  { stream, environment }: { readonly stream: Stream; readonly environment: TerminalDeps["environment"] },
): string {
  const plain = stream.isTTY !== true || (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  return style === undefined || plain || line === "" ? line : `\u001b[${STYLES[style]}m${line}\u001b[0m`;
}

const PATIENCE_MS = 1_000;
/** Where nobody sees a line change, a new one now and then is enough. */
const LOG_EVERY_MS = 5_000;

class ProgressLine {
  readonly #deps: Pick<TerminalDeps, "stderr" | "clock" | "signal">;
  #text = "";
  #begun: number | undefined;
  #drawnAt: number | undefined;
  #patience: AbortController | undefined;

  constructor(deps: Pick<TerminalDeps, "stderr" | "clock" | "signal">) {
    this.#deps = deps;
  }

  show(text: string): void {
    this.#text = text;
    this.#begun ??= this.#deps.clock.now();
    if (this.#deps.clock.now() - this.#begun >= PATIENCE_MS) this.#draw();
    else if (this.#patience === undefined) this.#drawLater();
  }

  clear(): void {
    this.#patience?.abort();
    this.#patience = undefined;
    if (this.#drawnAt !== undefined && this.#deps.stderr.isTTY === true) this.#deps.stderr.write("\r\u001b[K");
    this.#begun = undefined;
    this.#drawnAt = undefined;
  }

  #drawLater(): void {
    const patience = new AbortController();
    this.#patience = patience;
    const { clock, signal } = this.#deps;
    clock.sleep(PATIENCE_MS, AbortSignal.any([signal, patience.signal])).then(
      () => this.#draw(),
      () => undefined, // a line was printed, or the command ended, before it took a second
    );
  }

  #draw(): void {
    const { stderr, clock } = this.#deps;
    if (stderr.isTTY === true) stderr.write(`\r\u001b[K${this.#text.slice(0, (stderr.columns ?? 80) - 1)}`);
    else if (this.#drawnAt === undefined || clock.now() - this.#drawnAt >= LOG_EVERY_MS)
      stderr.write(`${this.#text}\n`);
    else return;
    this.#drawnAt = clock.now();
  }
}
