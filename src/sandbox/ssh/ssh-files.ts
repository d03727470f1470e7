/** Keeps `ssh_config` and `ssh_known_hosts` of a home as the sandboxes are now. Each is the old file or the new one, never half. */

import { join } from "node:path";
import { writeFileAtomic } from "../../store/index.ts";
import { formatKnownHosts, formatSshConfig, type SshBox, type SshPlaces } from "./ssh-config.ts";

export class SshFiles {
  readonly #places: SshPlaces;
  #last: Promise<void> = Promise.resolve();

  constructor(places: Omit<SshPlaces, "knownHosts">) {
    this.#places = { ...places, knownHosts: join(places.home, "ssh_known_hosts") };
  }

  static configIn(home: string): string {
    return join(home, "ssh_config");
  }

  /** In the order of the calls. The keys first: a name without its key is refused, a key without a name does no harm. */
  write(boxes: readonly SshBox[]): Promise<void> {
    const written = this.#last.then(async () => {
      await writeFileAtomic(this.#places.knownHosts, formatKnownHosts(boxes));
      await writeFileAtomic(SshFiles.configIn(this.#places.home), formatSshConfig(boxes, this.#places));
    });
    this.#last = written.catch(() => undefined); // whoever asked hears of it
    return written;
  }
}
