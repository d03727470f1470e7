/**
 * What a Linux machine lacks for safe sandboxes, in plain words, each with the command that mends it. Pure: what was
 * found on the machine comes in, sentences go out. Nothing is tried here; what a runtime found when it was opened stands
 * beside it.
 */

export interface HostFacts {
  readonly platform: NodeJS.Platform;
  readonly uid: number | undefined;
  readonly user: string;
  /** Files that may not be there: their content, without white space around it. */
  readonly files: ReadonlyMap<string, string>;
  /** Programs that were found. */
  readonly programs: ReadonlySet<string>;
  /** Sockets of engines: whether this user may open them. Absent: not there. */
  readonly sockets: ReadonlyMap<string, "open" | "refused">;
}

export interface Finding {
  /** In a word or two: what was looked at. */
  readonly about: string;
  readonly ok: boolean;
  readonly words: string;
  /** What to type. Absent where nothing need be done. */
  readonly fix?: string;
}

/** What is read, with what it says. */
export const paths = {
  appArmor: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
  clone: "/proc/sys/kernel/unprivileged_userns_clone",
  namespaces: "/proc/sys/user/max_user_namespaces",
  subUids: "/etc/subuid",
  subGids: "/etc/subgid",
  ownCgroup: "/proc/self/cgroup",
  controllers: "cgroup.controllers of this process",
} as const;

export const programs = ["bwrap", "newuidmap", "newgidmap", "nft", "pasta", "slirp4netns"] as const;
export const sockets = ["/var/run/docker.sock", "/run/podman/podman.sock"] as const;

export function checkUp(facts: HostFacts): readonly Finding[] {
  if (facts.platform !== "linux") {
    return [
      {
        about: "this system",
        ok: false,
        words: "only Linux makes sandboxes by itself; here it takes Docker or Podman",
        fix: "install Docker Desktop or Podman, and start it",
      },
    ];
  }
  return [userNamespaces(facts), tools(facts), uidRanges(facts), cgroups(facts), engines(facts)];
}

function userNamespaces({ files, uid, programs: found }: HostFacts): Finding {
  const about = "user namespaces";
  if (files.get(paths.namespaces) === "0") {
    return {
      about,
      ok: false,
      words: "the kernel allows none, so that nobody can be kept apart from the users of this machine",
      fix: "sudo sysctl -w user.max_user_namespaces=28633",
    };
  }
  if (uid !== 0 && files.get(paths.clone) === "0") {
    return {
      about,
      ok: false,
      words: "the kernel gives them to root alone",
      fix: "echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/90-p2prc.conf && sudo sysctl --system",
    };
  }
  if (uid !== 0 && files.get(paths.appArmor) === "1") {
    const tool = found.has("bwrap") ? "bubblewrap" : "programs";
    return {
      about,
      ok: false,
      words: `Ubuntu's AppArmor rule takes the rights inside a user namespace from ${tool} that no profile names`,
      fix: `printf 'abi <abi/4.0>,\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n' | sudo tee /etc/apparmor.d/p2prc-bwrap && sudo systemctl reload apparmor`,
    };
  }
  return { about, ok: true, words: "may be made by this user" };
}

function tools({ programs: found, uid }: HostFacts): Finding {
  const about = "tools";
  const wanted = ["bwrap", "nft", ...(uid === 0 ? [] : ["newuidmap", "newgidmap"])];
  const missing = wanted.filter((tool) => !found.has(tool));
  if (!found.has("pasta") && !found.has("slirp4netns")) missing.push("pasta");
  if (missing.length === 0) return { about, ok: true, words: "bubblewrap and what it needs are here" };
  return {
    about,
    ok: false,
    words: `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not installed`,
    fix: "sudo apt-get install bubblewrap uidmap nftables passt",
  };
}

/** One range for each sandbox of an image: 65,536 ids, as images use them. */
function uidRanges({ files, uid, user }: HostFacts): Finding {
  const about = "uid ranges";
  if (uid === 0) return { about, ok: true, words: "root takes them where nobody else has any" };
  const missing = [paths.subUids, paths.subGids].filter((path) => !hasRange(files.get(path) ?? "", { user, uid }));
  if (missing.length === 0) return { about, ok: true, words: "this user has some, so that `apt` works in images" };
  return {
    about,
    ok: false,
    words: `${missing.join(" and ")} ${missing.length === 1 ? "names" : "name"} none for ${user}: in images only one user can be had, and \`apt\` does not work`,
    fix: `sudo usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 ${user}`,
  };
}

function hasRange(text: string, { user, uid }: { readonly user: string; readonly uid: number | undefined }): boolean {
  return text.split("\n").some((line) => {
    const [name, , count] = line.split(":");
    return (name === user || name === String(uid)) && Number(count) >= 65_536;
  });
}

/** Without these controllers no limit holds. */
const CONTROLLERS = ["cpu", "memory", "pids"] as const;

function cgroups({ files, uid }: HostFacts): Finding {
  const about = "limits";
  if (uid === 0) return { about, ok: true, words: "root sets them itself" };
  const has = (files.get(paths.controllers) ?? "").split(/\s+/);
  const missing = CONTROLLERS.filter((one) => !has.includes(one));
  if (missing.length === 0) return { about, ok: true, words: "cpu, memory and pids are delegated to this user" };
  return {
    about,
    ok: false,
    words: `this process may not limit ${missing.join(", ")}: its cgroup was not handed over to this user`,
    fix: "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/p2prc.conf && sudo systemctl daemon-reload, then log in again and `p2prc install`",
  };
}

function engines({ sockets: found, user }: HostFacts): Finding {
  const about = "engines";
  const open = [...found].filter(([, state]) => state === "open").map(([path]) => path);
  if (open.length > 0) return { about, ok: true, words: `an engine answers at ${open.join(" and ")}` };
  const refused = [...found].find(([, state]) => state === "refused")?.[0];
  if (refused === undefined) return { about, ok: true, words: "no Docker or Podman; bubblewrap does without" };
  return {
    about,
    ok: false,
    words: `there is an engine at ${refused}, and ${user} may not ask it`,
    fix: `sudo usermod -aG docker ${user}, then log in again (who is in that group is as good as root here)`,
  };
}
