/** A run as a grid of sandboxes and tasks: drawn anew where a person looks on, told line by line where nobody does. */

import { cleanText } from "../../core/light.ts";
import type { Cell, CellState, HostProgress, PlaybookEvent, Progress } from "../../plugin/index.ts";
import type { Io } from "../io.ts";

const MARKS: Readonly<Record<CellState, string>> = {
  running: "…",
  ok: "✓",
  changed: "✓",
  skipped: "–",
  ignored: "!",
  failed: "✗",
  unreachable: "✗",
};
const TOLD: Partial<Readonly<Record<CellState, string>>> = {
  changed: " (changed)",
  skipped: " (skipped)",
  ignored: " (failed, ignored)",
};
const MAX_NAME = 24;
/** As often as the eye follows. */
const EVERY_MS = 100;
/** What a screen holds; further sandboxes are told of at the end. */
const MAX_ROWS = 40;

export class Grid {
  readonly #io: Io;
  #rows = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(io: Io) {
    this.#io = io;
  }

  show(event: PlaybookEvent, progress: Progress): void {
    if (event.kind === "diff") {
      this.#clear();
      for (const line of event.words.split("\n")) this.#io.out(`${event.host}  ${line}`);
    } else if (!this.#io.interactive) {
      this.#tell(event, progress);
      return;
    }
    const now = this.#io.clock.now();
    if (now - this.#drawnAt < EVERY_MS) return;
    this.#drawnAt = now;
    this.#draw(progress);
  }

  /** The last state, which stays. `addresses`: what is to be opened, by sandbox. */
  end(progress: Progress, addresses: ReadonlyMap<string, readonly string[]>): void {
    this.#clear();
    for (const host of progress.hosts) {
      const urls = addresses.get(host.host) ?? [];
      const style = host.done === true ? undefined : ("bad" as const);
      this.#io.out([rowOf(host, progress, widthOf(progress)), ...urls].join("   "), style);
      const { failure } = host;
      if (failure === undefined || host.done === true) continue;
      const code = failure.code === undefined ? "" : `exit ${failure.code}: `;
      const words = failure.words
        .split("\n")
        .filter((line) => line.trim() !== "")
        .slice(-LAST_LINES);
      for (const [index, line] of words.entries()) {
        this.#io.out(`    ${index === 0 ? code : ""}${cleanText(line, 300)}`);
      }
    }
  }

  #tell(event: Exclude<PlaybookEvent, { kind: "diff" }>, progress: Progress): void {
    if (event.kind === "task" || event.kind === "started" || event.kind === "host") return;
    const state: CellState = event.kind === "ok" && event.changed ? "changed" : event.kind;
    const name = cleanText(progress.nameOf(event.task), 100);
    this.#io.out(`${event.host.padEnd(widthOf(progress))}  ${MARKS[state]} ${name}${TOLD[state] ?? ""}`);
  }

  #draw(progress: Progress): void {
    this.#clear();
    const rows = progress.hosts.slice(0, MAX_ROWS).map((host) => rowOf(host, progress, widthOf(progress)));
    const fit = rows.map((row) =>
      Array.from(row)
        .slice(0, this.#io.columns - 1)
        .join(""),
    );
    this.#io.streams.stdout.write(fit.map((row) => `${row}\n`).join(""));
    this.#rows = fit.length;
  }

  #clear(): void {
    this.#io.clear();
    if (this.#rows > 0) this.#io.streams.stdout.write(`\u001b[${this.#rows}A\u001b[J`);
    this.#rows = 0;
  }
}

/** Of what a task said as it failed. */
const LAST_LINES = 6;

function rowOf({ host, cells }: HostProgress, progress: Progress, width: number): string {
  return [host.padEnd(width), ...cells.map((cell) => cellText(cell, progress))].join("  ");
}

function cellText({ task, state }: Cell, progress: Progress): string {
  const name = Array.from(cleanText(progress.nameOf(task), 100));
  return `${MARKS[state]} ${name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 1).join("")}…` : name.join("")}`;
}

function widthOf(progress: Progress): number {
  return Math.max(...progress.hosts.map(({ host }) => host.length));
}
