/**
 * Invites that this node issued: what each grants, when it expires, how often it may be used.
 *
 * A link holds 128 secret bits and no rights; only their hash is kept. Whoever shows the bits first is
 * bound to the grant by its key, and may show them again (the reply may have been lost) without
 * taking another use. Times are this node's own: nobody else's clock counts.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock, Log, Random } from "../base/index.ts";
import {
  cleanText,
  defaultGrant,
  Failure,
  formatInvite,
  formatToken,
  type Grant,
  type Invite,
  type NodeId,
  TOKEN_BYTES,
} from "../core/index.ts";
import type { AccessStore, StoredInvite } from "./access-store.ts";
import { DEFAULT_INVITE_MS, type InviteRow, type IssueReply, type IssueRequest } from "./contract.ts";
import type { Grants } from "./grants.ts";

export interface InvitesDeps {
  readonly id: NodeId;
  /** Where this node can be reached now. */
  readonly whereabouts: () => Pick<Invite, "endpoints" | "via" | "relays">;
  readonly store: AccessStore;
  readonly grants: Grants;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface InvitesOptions {
  /** @default 256 */
  readonly maxOpen?: number;
  /** Used, expired and revoked ones that are still listed. @default 256 */
  readonly maxClosed?: number;
}

/** A guest's patience, and clocks that are set a little while somebody redeems. */
const ALLOWANCE_MS = 2 * 60_000;
/** How long it is still told why an invite is refused. */
const KEEP_CLOSED_MS = 30 * 24 * 3_600_000;
const ID_BYTES = 4;

export class Invites {
  readonly #deps: InvitesDeps;
  readonly #options: Required<InvitesOptions>;
  /** Oldest first. */
  readonly #invites = new Map<string, StoredInvite>();

  constructor(deps: InvitesDeps, { maxOpen = 256, maxClosed = 256 }: InvitesOptions = {}) {
    this.#deps = deps;
    this.#options = { maxOpen, maxClosed };
    for (const invite of deps.store.invites()) this.#invites.set(invite.id, invite);
  }

  /** @throws {Failure} busy, disk-full */
  issue({ grant = {}, uses = 1, expiresMs = DEFAULT_INVITE_MS, note = "" }: IssueRequest): IssueReply {
    const { clock, random, store, log, id: issuer, whereabouts } = this.#deps;
    const old = this.#makeRoom();
    const token = formatToken(random.bytes(TOKEN_BYTES));
    const now = clock.wallTime();
    const invite: StoredInvite = {
      id: this.#freshId(),
      hash: hashOf(token),
      grant: { ...defaultGrant, ...grant },
      note: cleanText(note, 64),
      uses,
      issuedAt: now,
      expiresAt: now + expiresMs,
      revoked: false,
      redemptions: [],
    };
    const link = formatInvite({ issuer, token, ...whereabouts() });
    store.issue(invite, old);
    for (const id of old) this.#invites.delete(id);
    this.#invites.set(invite.id, invite);
    log.info("invite issued", { inviteId: invite.id, uses, kind: invite.grant.kind, expiresAt: invite.expiresAt });
    return { link, invite: this.#row(invite) };
  }

  /** Newest first. */
  list(): readonly InviteRow[] {
    return Array.from(this.#invites.values(), (invite) => this.#row(invite)).reverse();
  }

  /** Whether somebody can still redeem it. */
  isOpen(id: string): boolean {
    const invite = this.#invites.get(id);
    return invite !== undefined && this.#state(invite) === "open";
  }

  /** Grants that came of it stay. @throws {Failure} not-found, disk-full */
  revoke(id: string): InviteRow {
    const invite = this.#invites.get(id.trim().toLowerCase());
    if (invite === undefined) {
      throw new Failure("not-found", `no invite "${cleanText(id, 40)}"`, { hint: "`p2prc invites` lists them" });
    }
    this.#deps.store.revokeInvite(invite.id);
    const revoked = { ...invite, revoked: true };
    this.#invites.set(invite.id, revoked);
    this.#deps.log.info("invite revoked", { inviteId: invite.id });
    return this.#row(revoked);
  }

  /**
   * Binds the grant of an invite to the key of `guest`.
   * @returns undefined when there is no such token: the one answer that is rationed
   * @throws {Failure} invite-refused, busy, disk-full
   */
  redeem(token: string, guest: { readonly id: NodeId; readonly name: string }): Grant | undefined {
    const invite = this.#byToken(token);
    if (invite === undefined) return undefined;
    if (invite.redemptions.some(({ id }) => id === guest.id)) return this.#again(guest.id);
    const why = this.#whyRefused(invite);
    if (why !== undefined) {
      this.#deps.log.info("invite refused", { inviteId: invite.id, node: guest.id, state: this.#state(invite) });
      throw refused(why);
    }
    const redemption = { ...guest, at: this.#deps.clock.wallTime() };
    const grant = this.#deps.grants.redeem(invite, redemption);
    this.#invites.set(invite.id, { ...invite, redemptions: [...invite.redemptions, redemption] });
    this.#deps.log.info("invite redeemed", { inviteId: invite.id, node: guest.id, kind: grant.kind });
    return grant;
  }

  /** The same key again: what it holds, and nothing where the owner took that back. */
  #again(id: NodeId): Grant {
    const grant = this.#deps.grants.of(id);
    if (grant === undefined) throw refused("what it granted you has ended");
    return grant;
  }

  #whyRefused(invite: StoredInvite): string | undefined {
    if (invite.revoked) return "it was taken back";
    if (invite.redemptions.length >= invite.uses) return "it was used already";
    if (this.#deps.clock.wallTime() >= invite.expiresAt + ALLOWANCE_MS) return "it has expired";
    return undefined;
  }

  /** Looks at all of them, so that the time it takes says nothing. */
  #byToken(token: string): StoredInvite | undefined {
    const hash = hashOf(token);
    let found: StoredInvite | undefined;
    for (const invite of this.#invites.values()) if (timingSafeEqual(invite.hash, hash)) found = invite;
    return found;
  }

  /** The closed invites that a new one pushes out. @throws {Failure} busy */
  #makeRoom(): readonly string[] {
    const { maxOpen, maxClosed } = this.#options;
    const closed = [...this.#invites.values()].filter((invite) => this.#state(invite) !== "open");
    if (this.#invites.size - closed.length >= maxOpen) {
      throw new Failure("busy", `${maxOpen} invites are open already`, {
        hint: "revoke some: `p2prc invites` lists them; one invite may also have several `--uses`",
      });
    }
    const before = this.#deps.clock.wallTime() - KEEP_CLOSED_MS;
    const surplus = closed.length - maxClosed + 1;
    return closed.filter(({ expiresAt }, index) => index < surplus || expiresAt < before).map(({ id }) => id);
  }

  #freshId(): string {
    for (;;) {
      const id = Buffer.from(this.#deps.random.bytes(ID_BYTES)).toString("hex");
      if (!this.#invites.has(id)) return id;
    }
  }

  #state(invite: StoredInvite): InviteRow["state"] {
    if (invite.revoked) return "revoked";
    if (invite.redemptions.length >= invite.uses) return "used";
    return this.#deps.clock.wallTime() >= invite.expiresAt ? "expired" : "open";
  }

  #row(invite: StoredInvite): InviteRow {
    const { id, grant, note, uses, issuedAt, expiresAt, redemptions } = invite;
    return { id, state: this.#state(invite), grant, note, uses, issuedAt, expiresAt, redeemedBy: [...redemptions] };
  }
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Told only to who shows the right secret, so it helps nobody to guess. */
function refused(why: string): Failure {
  return new Failure("invite-refused", `the invite is refused: ${why}`, {
    hint: "ask the owner of that node for a new one",
  });
}
