/** The machine under the command line, as far as commands need it. Tests hand in one of their own. */

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The user's own folder. */
  readonly userFolder: string;
  /** The Node that runs this program, and what it runs: `node …/bin.ts`. */
  readonly node: string;
  readonly bin: string;
  readonly nodeVersion: string;
  /** Runs a program of the system to its end, for at most 10 s. A program that is not there has the code 127. */
  run(command: string, args: readonly string[]): Promise<Ran>;
  /**
   * Runs a program with this terminal until it ends, in the place of this one.
   * @returns its exit code, as a shell tells it; undefined: there is no such program
   */
  attach(command: string, args: readonly string[], signal: AbortSignal): Promise<number | undefined>;
}
