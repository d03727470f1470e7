/** A job on the screen: the line of its progress, what went wrong, and what came of it. */

import { cleanText } from "../../core/light.ts";
import type { BoxTally, Tally, TaskFailure } from "../../job/index.ts";
import { sandboxCount } from "../boxes.ts";
import { type Column, formatColumns } from "../columns.ts";
import { formatDecimalBytes, formatTook } from "../format.ts";

const BAR_CELLS = 14;
/** More of them leave no room for the rest of the line. */
const MAX_NAMED = 5;

/** What of a tally the line of progress is made of. */
export type Counts = Pick<Tally, "all" | "before" | "doneNow" | "failedCount" | "retried" | "startedAt" | "boxes">;

/**
 * `██████████░░░░ 178/250   box1 61  box2 59   2 retried   3.1/s   23 s left`; on a narrow screen without what can be left out, so
 * that its end is not cut off.
 */
export function formatProgress(tally: Counts, now: number, columns: number): string {
  const done = tally.before + tally.doneNow;
  const full = Math.floor((BAR_CELLS * (done + tally.failedCount)) / Math.max(1, tally.all));
  const bar = `${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)} `;
  const count = `${done}/${tally.all}`;
  const boxes = [...tally.boxes.values()];
  const named = boxes.length > MAX_NAMED ? [] : [boxes.map((box) => `${box.name} ${box.done}`).join("  ")];
  const rest = [
    ...(tally.retried > 0 ? [`${tally.retried} retried`] : []),
    ...(tally.failedCount > 0 ? [`${tally.failedCount} failed`] : []),
    ...ratesOf(tally, now),
  ];
  const wide = [...named, sandboxCount(boxes.length)].map((counts) => [`${bar}${count}`, counts, ...rest]);
  const lines = [...wide, [`${bar}${count}`, ...rest], [count, ...rest]].map((parts) => parts.join("   "));
  return lines.find((line) => line.length < columns) ?? lines.at(-1) ?? count;
}

function ratesOf(tally: Counts, now: number): readonly string[] {
  const seconds = (now - tally.startedAt) / 1_000;
  const rate = tally.doneNow / seconds;
  if (tally.doneNow === 0 || seconds < 1) return [];
  const left = (tally.all - tally.before - tally.doneNow - tally.failedCount) / rate;
  return [`${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}/s`, `${formatSeconds(left)} left`];
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

/** `task 17 (frames/017.pov) failed on box2: exit code 1`, and below it the end of its stderr. */
export function formatFailure({ n, input, box, why, lastWords }: TaskFailure): string {
  const words = lastWords.filter((line) => line !== "").map((line) => `  ${cleanText(line, 200)}`);
  return [`task ${n + 1} (${cleanText(input, 80)}) failed on ${box}: ${why}`, ...words].join("\n");
}

const columns: readonly Column[] = [
  { title: "SANDBOX" },
  { title: "NODE" },
  { title: "TASKS", align: "right" },
  { title: "FAILED", align: "right" },
  { title: "LOST", align: "right" },
  { title: "MEAN", align: "right" },
  { title: "BUSY", align: "right" },
  { title: "IN", align: "right" },
  { title: "OUT", align: "right" },
];

export function formatSummary(tally: Tally, tookMs: number): readonly string[] {
  return formatColumns(
    columns,
    [...tally.boxes.values()].map((box) => cellsOf(box, tookMs)),
  );
}

function cellsOf(box: BoxTally, tookMs: number): readonly string[] {
  const { name, node, done, failed, lost, busyMs, slots, bytesIn, bytesOut } = box;
  return [
    name,
    node,
    String(done),
    String(failed),
    String(lost),
    done === 0 ? "" : formatTook(busyMs / done),
    `${Math.round((100 * busyMs) / Math.max(1, tookMs * slots))}%`,
    formatDecimalBytes(bytesIn),
    formatDecimalBytes(bytesOut),
  ];
}

/** `250 of 250 done in 81 s   2 retried   1 done twice`. */
export function formatOutcome(tally: Tally, tookMs: number): string {
  const { all, before, doneNow, failedCount, retried, hedged } = tally;
  const parts = [
    `${before + doneNow} of ${all} done in ${formatTook(tookMs)}`,
    ...(before > 0 ? [`${before} before`] : []),
    ...(failedCount > 0 ? [`${failedCount} failed`] : []),
    ...(retried > 0 ? [`${retried} retried`] : []),
    ...(hedged > 0 ? [`${hedged} hedged`] : []),
  ];
  return parts.join("   ");
}
