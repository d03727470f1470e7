/**
 * What invites and grants are on disk. Every change is one transaction that holds after a power cut:
 * a use that was taken and a right that was revoked must not come back.
 */

import type { DatabaseSync } from "node:sqlite";
import { Compile } from "typebox/compile";
import { Grant, isNodeId, type NodeId } from "../core/index.ts";
import { durably, migrate } from "../store/index.ts";

export interface Redemption {
  readonly id: NodeId;
  readonly name: string;
  readonly at: number;
}

export interface StoredInvite {
  readonly id: string;
  /** SHA-256 of the token: who reads the file cannot redeem. */
  readonly hash: Uint8Array;
  readonly grant: Grant;
  readonly note: string;
  readonly uses: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly revoked: boolean;
  readonly redemptions: readonly Redemption[];
}

export interface StoredGrant {
  readonly id: NodeId;
  readonly grant: Grant;
  /** What it called itself. */
  readonly name: string;
  readonly since: number;
  /** Undefined where it came from joining with `own`. */
  readonly invite: string | undefined;
}

const STEPS = [
  `CREATE TABLE access_invites (
     id TEXT PRIMARY KEY, hash BLOB NOT NULL, terms TEXT NOT NULL, note TEXT NOT NULL, uses INTEGER NOT NULL,
     issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT;
   CREATE TABLE access_redemptions (
     invite TEXT NOT NULL REFERENCES access_invites (id) ON DELETE CASCADE,
     node TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (invite, node)) STRICT;
   CREATE TABLE access_grants (
     node TEXT PRIMARY KEY, terms TEXT NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL, invite TEXT) STRICT;`,
];

const isGrant = Compile(Grant);

type Row = Readonly<Record<string, unknown>>;

export class AccessStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    migrate(database, "access", STEPS);
    this.#database = database;
  }

  /** Oldest first. */
  invites(): readonly StoredInvite[] {
    const redemptions = Map.groupBy(
      this.#database.prepare("SELECT * FROM access_redemptions ORDER BY at").all(),
      (row) => row["invite"],
    );
    const rows = this.#database.prepare("SELECT * FROM access_invites ORDER BY issued_at, rowid").all();
    return rows.map((row) => inviteFrom(row, (redemptions.get(row["id"] ?? "") ?? []).map(redemptionFrom)));
  }

  grants(): readonly StoredGrant[] {
    return this.#database.prepare("SELECT * FROM access_grants ORDER BY since, rowid").all().map(grantFrom);
  }

  /** Adds `invite` and forgets `old` ones, with their redemptions. */
  issue(invite: StoredInvite, old: readonly string[]): void {
    durably(this.#database, () => {
      const remove = this.#database.prepare("DELETE FROM access_invites WHERE id = ?");
      for (const id of old) remove.run(id);
      this.#database
        .prepare("INSERT INTO access_invites VALUES (?, ?, ?, ?, ?, ?, ?, 0)")
        .run(
          invite.id,
          invite.hash,
          JSON.stringify(invite.grant),
          invite.note,
          invite.uses,
          invite.issuedAt,
          invite.expiresAt,
        );
    });
  }

  revokeInvite(id: string): void {
    durably(this.#database, () => this.#database.prepare("UPDATE access_invites SET revoked = 1 WHERE id = ?").run(id));
  }

  /** The use of the invite and the grant that comes of it, both or none. */
  redeem(invite: string, { id, name, at }: Redemption, grant: StoredGrant): void {
    durably(this.#database, () => {
      this.#database.prepare("INSERT INTO access_redemptions VALUES (?, ?, ?, ?)").run(invite, id, name, at);
      this.#putGrant(grant);
    });
  }

  saveGrant(grant: StoredGrant): void {
    durably(this.#database, () => this.#putGrant(grant));
  }

  removeGrant(id: NodeId): void {
    durably(this.#database, () => this.#database.prepare("DELETE FROM access_grants WHERE node = ?").run(id));
  }

  #putGrant({ id, grant, name, since, invite }: StoredGrant): void {
    this.#database
      .prepare("INSERT OR REPLACE INTO access_grants VALUES (?, ?, ?, ?, ?)")
      .run(id, JSON.stringify(grant), name, since, invite ?? null);
  }
}

function inviteFrom(row: Row, redemptions: readonly Redemption[]): StoredInvite {
  return {
    id: String(row["id"]),
    hash: row["hash"] as Uint8Array,
    grant: termsFrom(row["terms"]),
    note: String(row["note"]),
    uses: Number(row["uses"]),
    issuedAt: Number(row["issued_at"]),
    expiresAt: Number(row["expires_at"]),
    revoked: row["revoked"] !== 0,
    redemptions,
  };
}

function redemptionFrom(row: Row): Redemption {
  return { id: idFrom(row["node"]), name: String(row["name"]), at: Number(row["at"]) };
}

function grantFrom(row: Row): StoredGrant {
  const invite = row["invite"];
  return {
    id: idFrom(row["node"]),
    grant: termsFrom(row["terms"]),
    name: String(row["name"]),
    since: Number(row["since"]),
    invite: typeof invite === "string" ? invite : undefined,
  };
}

/** Only this program writes here, so anything else is a defect: better no daemon than one that guesses what it granted. */
function termsFrom(text: unknown): Grant {
  const grant: unknown = JSON.parse(String(text));
  if (isGrant.Check(grant)) return grant;
  throw new TypeError("a stored grant is not one");
}

function idFrom(text: unknown): NodeId {
  if (typeof text === "string" && isNodeId(text)) return text;
  throw new TypeError("a stored node id is not one");
}
