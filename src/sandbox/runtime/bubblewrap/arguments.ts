/**
 * What bubblewrap is asked for: the whole of what those inside see, in the order in which it is laid over each other.
 *
 * A pure function, so that a test can read it. Sources are paths of the host as the new mount namespace shows them.
 */

import { join } from "node:path";
import type { Profile } from "../runtime.ts";
import { OWN_FILES } from "./images/entries.ts";
import { GUEST_ID } from "./made-etc.ts";

/** What of the host's system is shown where there is no image. */
export interface HostSystem {
  /** `/bin` and the like, which are links into /usr, or folders of their own on older systems. */
  readonly roots: readonly { readonly path: string; readonly link: string | undefined }[];
  /** Files and folders of /etc that are there. */
  readonly etc: readonly string[];
  /** Files of /proc that tell of the whole machine, of those that are there. */
  readonly masked: readonly string[];
  readonly maskedFolders: readonly string[];
}

export interface ViewOptions {
  readonly name: string;
  readonly profile: Profile;
  /** Root inside, with many ids; else `guest`, with one. */
  readonly root: boolean;
  /** The folder `layer` and the helper, as they are reached from where bubblewrap starts. */
  readonly layer: string;
  readonly helper: string;
  /** The root of the image, writable. Undefined: the host's system. */
  readonly image: string | undefined;
  readonly memoryBytes: number;
  /** It has a network namespace already, with rules in it. */
  readonly networked: boolean;
  /** Nodes of /dev, and the libraries of their driver. */
  readonly devices: readonly string[];
  readonly libraries: readonly string[];
  /** Whether this bubblewrap knows `--disable-userns`. */
  readonly disableUserns: boolean;
}

/** With them root of a user namespace can install packages and be other users; none of them reaches out of it. */
export const DEV_CAPABILITIES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "SETUID",
  "SETGID",
  "KILL",
  "NET_BIND_SERVICE",
  "SYS_CHROOT",
] as const;

const SHM_BYTES = 64 * 1024 ** 2;
const RUN_BYTES = 16 * 1024 ** 2;

/** Everything up to `--`; descriptors are for the caller to add. */
export function viewArguments(view: ViewOptions, host: HostSystem): string[] {
  return [
    ...namespaces(view),
    ...(view.image === undefined ? hostSystem(host) : [isReadOnly(view) ? "--ro-bind" : "--bind", view.image, "/"]),
    ...kernel(host),
    ...(view.image === undefined ? madeFolders(view, host) : imageFiles(view)),
    ...writable(view),
    ...view.devices.flatMap((device) => ["--dev-bind", device, device]),
    // Those of the host's system are in its /usr already.
    ...(view.image === undefined ? [] : view.libraries.flatMap((library) => ["--ro-bind", library, library])),
    ...["--ro-bind", view.helper, "/.p2prc"],
    ...(view.image === undefined ? ["--remount-ro", "/"] : []),
    ...["--chdir", "/", "--clearenv"],
  ];
}

function namespaces({ name, root, networked, disableUserns }: ViewOptions): string[] {
  const common = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", name];
  return [
    ...common,
    ...(networked ? [] : ["--unshare-net"]),
    ...["--new-session", "--cap-drop", "ALL"],
    ...(root ? DEV_CAPABILITIES.flatMap((capability) => ["--cap-add", `CAP_${capability}`]) : []),
    ...(root ? [] : ["--unshare-user", "--uid", String(GUEST_ID), "--gid", String(GUEST_ID)]),
    ...(root || !disableUserns ? [] : ["--disable-userns"]),
  ];
}

function hostSystem({ roots }: HostSystem): string[] {
  const links = roots.flatMap(({ path, link }) =>
    link === undefined ? ["--ro-bind", path, path] : ["--symlink", link, path],
  );
  return ["--ro-bind", "/usr", "/usr", ...links];
}

/** /proc without what would change or tell of the whole machine. /sys is not there at all. */
function kernel({ masked, maskedFolders }: HostSystem): string[] {
  return [
    ...["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"],
    ...masked.flatMap((file) => ["--ro-bind", "/dev/null", file]),
    ...maskedFolders.flatMap((folder) => ["--size", "4096", "--tmpfs", folder, "--remount-ro", folder]),
    ...["--dev", "/dev", "--perms", "1777", "--size", String(SHM_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
  ];
}

function madeFolders({ layer, profile }: ViewOptions, { etc }: HostSystem): string[] {
  return [
    ...["--bind", join(layer, "etc"), "/etc", ...etc.flatMap((path) => ["--ro-bind", path, path])],
    ...(profile === "strict" ? ["--remount-ro", "/etc"] : []),
    ...["/home", "/opt", "/srv", "/mnt", "/media", "/var/lib", "/var/cache", "/var/log"].flatMap((path) => [
      "--dir",
      path,
    ]),
    ...["--symlink", "/run", "/var/run", "--symlink", "/run/lock", "/var/lock"],
    ...homes(layer),
  ];
}

function homes(layer: string): string[] {
  return ["--bind", join(layer, "home"), "/home/guest", "--bind", join(layer, "var-tmp"), "/var/tmp"];
}

/** In `strict` nobody inside may change the image, and so no writable copy of it is made. */
export function isReadOnly({ profile }: Pick<ViewOptions, "profile">): boolean {
  return profile === "strict";
}

function imageFiles(view: ViewOptions): string[] {
  const way = isReadOnly(view) ? "--ro-bind" : "--bind";
  const files = OWN_FILES.flatMap((file) => [way, join(view.layer, file), `/${file}`]);
  return isReadOnly(view) ? [...files, ...homes(view.layer)] : files;
}

/** In memory as far as it goes, with a size: the limit of memory counts it too, where there is one. */
function writable({ layer, image, root, memoryBytes }: ViewOptions): string[] {
  const half = String(Math.floor(memoryBytes / 2));
  return [
    ...(image === undefined && root ? ["--bind", join(layer, "root"), "/root"] : []),
    ...["--perms", "1777", "--size", half, "--tmpfs", "/tmp"],
    ...[
      "--size",
      String(RUN_BYTES),
      "--tmpfs",
      "/run",
      "--dir",
      "/run/lock",
      "--dir",
      "/run/sshd",
      "--dir",
      "/run/p2prc",
    ],
    ...["--bind", join(layer, "log"), "/run/p2prc/log"],
  ];
}
