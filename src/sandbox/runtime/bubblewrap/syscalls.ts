/**
 * The system calls that no sandbox may make, with their numbers: each of them either looks into other processes, changes
 * what the kernel shows to everybody, or is a door that most escapes of the last ten years went through.
 *
 * What is not here is allowed, up to the highest number that was known when this was written: newer calls answer ENOSYS,
 * as on an older kernel, so that programs fall back.
 */

export const machines = ["x64", "arm64"] as const;
export type Machine = (typeof machines)[number];

/** Numbers on x86-64 and on arm64 (Linux: asm/unistd_64.h, asm-generic/unistd.h); undefined: not there. */
type Numbers = readonly [x64: number | undefined, arm64: number | undefined];

/** Answered with EPERM. */
export const refused: Readonly<Record<string, Numbers>> = {
  // other processes
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
  perf_event_open: [298, 241],
  lookup_dcookie: [212, 18],
  // the keyrings know no namespaces
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  // large and young parts of the kernel
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  userfaultfd: [323, 282],
  bpf: [321, 280],
  fanotify_init: [300, 262],
  // what is mounted where
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  swapon: [167, 224],
  swapoff: [168, 225],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  // namespaces: `clone` is looked at by its flags
  unshare: [272, 97],
  setns: [308, 268],
  // the kernel itself
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  create_module: [174, undefined],
  init_module: [175, 105],
  delete_module: [176, 106],
  finit_module: [313, 273],
  get_kernel_syms: [177, undefined],
  query_module: [178, undefined],
  nfsservctl: [180, 42],
  reboot: [169, 142],
  syslog: [103, 116],
  acct: [163, 89],
  uselib: [134, undefined],
  ustat: [136, undefined],
  sysfs: [139, undefined],
  _sysctl: [156, undefined],
  vhangup: [153, 58],
  iopl: [172, undefined],
  ioperm: [173, undefined],
  modify_ldt: [154, undefined],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  // which memory of the machine is used, of other processes too
  mbind: [237, 235],
  set_mempolicy: [238, 237],
  set_mempolicy_home_node: [450, 450],
  migrate_pages: [256, 238],
  move_pages: [279, 239],
};

/** Looked at by their arguments, in `seccomp.ts`. */
export const watched = {
  clone: [56, 220],
  clone3: [435, 435],
  socket: [41, 198],
  ioctl: [16, 29],
  personality: [135, 92],
} as const satisfies Record<string, Numbers>;

/** `mseal`, of Linux 6.10: the last one that was looked at before it was allowed. */
export const HIGHEST_KNOWN = 462;

export function numberOf(numbers: Numbers, machine: Machine): number | undefined {
  return numbers[machines.indexOf(machine)];
}
