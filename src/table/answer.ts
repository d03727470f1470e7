/**
 * The answer to `POST /v1/table`: what this node verified itself, is new to the asker, and fits.
 *
 * An asker may announce itself, and only itself. All who did share one lineage: a node that comes uninvited
 * has nobody who answers for it, and minting more of them wins no more than one place.
 */

import { Failure, type NodeId, type SignedRecord } from "../core/index.ts";
import { MAX_REPLY_BYTES, type TableQuestion, type TableReply } from "./contract.ts";
import { decodeFilter, fingerprint } from "./known-filter.ts";
import type { NodeTable } from "./node-table.ts";
import type { Row, VersionedRecord } from "./row.ts";

export interface AnswerDeps {
  readonly table: NodeTable;
  readonly self: () => VersionedRecord | undefined;
}

/** What is around the records in the reply. */
const ENVELOPE_BYTES = 256;

/** @param yours what `hearAnnouncement` found */
export function answerTable({ table, self }: AnswerDeps, question: TableQuestion, yours?: SignedRecord): TableReply {
  const isKnown = decodeFilter(question.known);
  const own = self();
  const records: SignedRecord[] = own === undefined || isKnown(fingerprint(own.record)) ? [] : [own.signed];
  const { rows, cursor, more } = table.rows.passed.page({
    since: question.since,
    limit: question.limit,
    skip: (row) => isKnown(row.mark),
    maxBytes: MAX_REPLY_BYTES - ENVELOPE_BYTES - records.reduce((sum, signed) => sum + weight(signed), 0),
    weigh,
  });
  for (const { signed } of rows) if (signed !== undefined) records.push(signed);
  return { records, cursor, more, ...(yours === undefined ? {} : { yours }) };
}

/**
 * The asker's own record. It is only heard of by that: it is passed on when a dial has proved it.
 * @returns the record that outdoes it, where there is one: the asker cannot be heard before he has outdone that
 * @throws {Failure} bad-record when it is somebody else's
 */
export function hearAnnouncement(
  table: NodeTable,
  signed: SignedRecord,
  { by }: { readonly by: NodeId },
): SignedRecord | undefined {
  const learned = table.learn([signed], { kind: "announced", by });
  if (learned.bad > 0) throw new Failure("bad-record", "the record is not valid, or not the asker's own");
  const held = table.get(by)?.signed;
  return held?.body === signed.body ? undefined : held;
}

function weigh(row: Row): number {
  return row.signed === undefined ? 0 : weight(row.signed);
}

/** As it goes over the wire, with its comma. */
function weight(signed: SignedRecord): number {
  return Buffer.byteLength(JSON.stringify(signed)) + 1;
}
