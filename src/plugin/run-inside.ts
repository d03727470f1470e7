/**
 * What a run leaves in its sandboxes, in lines for their `sh`: a key among those that sshd takes, which bears the run's name,
 * and commands that nobody waits for any more. The next run takes away the keys of those that were killed.
 */

/** Where sshd of a sandbox looks for keys. */
const KEYS = "/run/p2prc/authorized_keys";
const MARK = "p2prc-run:";
const MARKED = new RegExp(`${MARK}([0-9A-Za-z-]{1,64})$`, "gmu");
/** More than one sandbox ever has. */
const MAX_RUNS = 100;
/** sshd compares with the time of its own zone, and clocks differ. */
const KEY_GRACE_MS = 26 * 3_600_000;
/** Goes with each command over ssh, whatever it starts: sshd of a sandbox takes variables that begin so. */
const RUN_VARIABLE = "LC_P2PRC_RUN";

interface RunKey {
  readonly run: string;
  /** `ssh-ed25519 AAAA…` */
  readonly publicLine: string;
  /** Wall time: what the run may take. */
  readonly untilMs: number;
}

/** Puts it among the others; `runsIn` makes sense of what that says. */
export function putKey({ run, publicLine, untilMs }: RunKey): string {
  const time = new Date(untilMs + KEY_GRACE_MS).toISOString().replaceAll(/[-:T]/gu, "").slice(0, 12);
  const line = `restrict,expiry-time="${time}" ${publicLine} ${MARK}${run}`;
  return alone(`echo '${line}' >> ${KEYS} && grep -o '${MARK}.*' ${KEYS}`);
}

/** The runs whose keys are there. */
export function runsIn(said: string): readonly string[] {
  return Array.from(said.matchAll(MARKED), ([, run = ""]) => run).slice(0, MAX_RUNS);
}

/** Of a disk that is full nothing takes the place of the keys: nobody could get in any more. */
export function takeKeys(runs: readonly string[]): string {
  const these = runs.map((run) => `-e '${MARK}${run}'`).join(" ");
  const rest = `${KEYS}.$$`;
  return alone(`grep -vF ${these} ${KEYS} > ${rest} && mv ${rest} ${KEYS} || rm -f ${rest}`);
}

/** One after the other, so that none loses what another one writes; after 5 s also where one was killed while it did. */
function alone(work: string): string {
  const wait = `n=0; until mkdir ${KEYS}.lock 2>/dev/null || [ $n -ge 50 ]; do n=$((n+1)); sleep 0.1; done`;
  return `umask 077; ${wait}; { ${work}; }; end=$?; rmdir ${KEYS}.lock; exit $end`;
}

/** For ssh's configuration: by this, commands of the run are known inside. */
export function markRun(run: string): string {
  return `SetEnv ${RUN_VARIABLE}=${run}`;
}

/**
 * Ends the commands that the run still waited for: all of a session whose first process lives and speaks to sshd. What was
 * sent into the background to stay has a session of its own, or its first process has ended.
 */
export function endCommands(run: string): string {
  return `k=
for e in /proc/[0-9]*/environ; do
  tr '\\0' '\\n' 2>/dev/null < "$e" | grep -qxF '${RUN_VARIABLE}=${run}' || continue
  p=\${e#/proc/}; p=\${p%/environ}
  s=$(cat "/proc/$p/stat" 2>/dev/null) || continue
  set -- \${s##*) }
  case $(readlink "/proc/$4/fd/1") in pipe:*|socket:*|/dev/pts/*) k="$k $p";; esac
done
[ -z "$k" ] || kill -9 $k 2>/dev/null
exit 0`;
}
