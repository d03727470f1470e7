/**
 * How one gets into what one holds: a door for SSH and for each port of every box on this machine, and the files that tell
 * stock `ssh` of them. Follows the book: what is held has its doors, what has ended has none.
 */

import { Failure, type NodeId } from "../../core/index.ts";
import type { BoxPort } from "../contract.ts";
import type { Doors, DoorWish } from "../port/doors.ts";
import { SSH } from "../port/doors.ts";
import { freePort } from "../port/free-port.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { SshBox } from "../ssh/ssh-config.ts";
import type { PrivateUrls } from "../web/private-urls.ts";
import type { BoxRow } from "./box-book.ts";

export interface WaysInDeps {
  readonly doors: Pick<Doors, "open" | "reopen" | "of" | "close" | "closeAll" | "boxes">;
  readonly files: { write(boxes: readonly SshBox[]): Promise<void> };
  /** Private URLs of ports that speak HTTP. */
  readonly urls: Pick<PrivateUrls, "open" | "urlOf">;
  readonly nameOf: (node: NodeId) => string;
}

export class WaysIn {
  readonly #deps: WaysInDeps;
  readonly #rows = new Map<SandboxId, BoxRow>();

  constructor(deps: WaysInDeps) {
    this.#deps = deps;
  }

  /**
   * Opens those of every box that is held, and forgets the doors of those that are not.
   * @throws {Failure} the first that said why one could not be opened; all others are open then
   */
  async restore(rows: readonly BoxRow[], signal: AbortSignal): Promise<void> {
    const held = new Set(rows.map(({ id }) => id));
    for (const box of this.#deps.doors.boxes) if (!held.has(box)) await this.#deps.doors.closeAll(box);
    const failures: Failure[] = [];
    for (const row of rows) {
      try {
        await this.#openAll(row, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failures.push(error);
      }
    }
    if (rows.length > 0) await this.#write();
    if (failures[0] !== undefined) throw failures[0];
  }

  /** One local port for each of its ports; those that are open already are kept. */
  async open(row: BoxRow, signal: AbortSignal): Promise<readonly BoxPort[]> {
    const before = this.#shownToSsh();
    await this.#openAll(row, signal);
    if (this.#shownToSsh() !== before) await this.#write();
    return this.of(row.id);
  }

  /** @throws {Failure} port-in-use, bad-argument, too-large */
  async openPort(id: SandboxId, wish: DoorWish, signal: AbortSignal): Promise<BoxPort> {
    await this.#deps.doors.open(id, wish, signal);
    await this.#deps.urls.open(signal);
    const port = this.of(id).find(({ internal }) => internal === wish.internal);
    if (port === undefined) throw new Error("a door that was opened is not there");
    return port;
  }

  closePort(id: SandboxId, internal: number): Promise<void> {
    return this.#deps.doors.close(id, internal);
  }

  /** The box has ended. */
  async close(id: SandboxId): Promise<void> {
    if (!this.#rows.delete(id)) return;
    await this.#deps.doors.closeAll(id);
    await this.#write();
  }

  of(id: SandboxId): readonly BoxPort[] {
    const rows = this.#deps.doors.of(id).filter(({ internal }) => internal !== SSH);
    return rows.map(({ internal, local, path }, index) => {
      const url = this.#urlOf(id, index === 0 ? undefined : internal);
      const place = path === undefined ? { host: "127.0.0.1", local: local ?? 0 } : { host: path, local: 0 };
      return { internal, ...place, ...(url === undefined ? {} : { url }) };
    });
  }

  /** The port inside that a private URL means: the first one where it names none. */
  portBehind({ box, port }: { readonly box: SandboxId; readonly port: number | undefined }): number | undefined {
    const ports = this.of(box).map(({ internal }) => internal);
    return port === undefined ? ports[0] : ports.find((internal) => internal === port);
  }

  /** Where `ssh` finds it on 127.0.0.1. */
  sshPort(id: SandboxId): number | undefined {
    return this.#deps.doors.of(id).find(({ internal }) => internal === SSH)?.local;
  }

  async #openAll(row: BoxRow, signal: AbortSignal): Promise<void> {
    const { doors } = this.#deps;
    const { id, request, sandbox } = row;
    this.#rows.set(id, row);
    if (sandbox?.hostKey !== undefined) await doors.open(id, { internal: SSH }, signal);
    const there = await doors.reopen(id, signal);
    const missing = (request.ports ?? 0) - there.filter(({ internal }) => internal !== SSH).length;
    for (let count = 0; count < missing; count++) await doors.open(id, { internal: await freePort(signal) }, signal);
    if (this.of(id).length > 0) await this.#deps.urls.open(signal);
  }

  #urlOf(id: SandboxId, port: number | undefined): string | undefined {
    const box = this.#rows.get(id)?.name;
    return box === undefined ? undefined : this.#deps.urls.urlOf({ box, port });
  }

  async #write(): Promise<void> {
    await this.#deps.files.write(this.#sshBoxes());
  }

  #shownToSsh(): string {
    return JSON.stringify(this.#sshBoxes());
  }

  #sshBoxes(): readonly SshBox[] {
    return [...this.#rows.values()].flatMap(({ id, name, node, sandbox }) => {
      const port = this.sshPort(id);
      if (sandbox?.hostKey === undefined || port === undefined) return [];
      const { user, hostKey } = sandbox;
      return [{ id, name, nodeName: this.#deps.nameOf(node), user, hostKey, port }];
    });
  }
}
