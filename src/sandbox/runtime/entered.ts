/** Ways into new sandboxes through which their walls were looked at: kept open until somebody takes them, or they end. */

import type { Inside } from "../inside/inside.ts";
import type { SandboxId } from "./sandbox-id.ts";

export class Entered {
  readonly #insides = new Map<SandboxId, Inside>();

  keep(id: SandboxId, inside: Inside): void {
    this.#insides.set(id, inside);
    void inside.ended.then(() => {
      if (this.#insides.get(id) === inside) this.#insides.delete(id);
    });
  }

  /** Once: it belongs to whoever takes it. */
  take(id: SandboxId): Inside | undefined {
    const inside = this.#insides.get(id);
    this.#insides.delete(id);
    return inside?.open === true ? inside : undefined;
  }

  async close(id: SandboxId): Promise<void> {
    await this.take(id)?.[Symbol.asyncDispose]();
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#insides.keys()].map((id) => this.close(id)));
  }
}
