/**
 * Which system calls there are in a sandbox: an allow list, as the engine takes it (`--security-opt seccomp=`).
 *
 * It is what engines allow by default, less what gave kernels away and nobody needs in here: ptrace and reading other
 * processes, keyrings, io_uring, userfaultfd, bpf, perf, mounting, new namespaces, kernel modules, handles to files, and
 * sockets of other families than Unix, IPv4, IPv6 and netlink's routes. Only the machine's own architecture.
 */

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const NETLINK_AUDIT = 9;

const EPERM = 1;
/** "Function not implemented": the C library then falls back to clone, whose flags can be read. */
const ENOSYS = 38;
/** What a kernel without auditing says; with EPERM OpenSSH and PAM give up. */
const EPROTONOSUPPORT = 93;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: none may be set. */
const NEW_NAMESPACES = 0x7e020000;

const ALLOWED = [
  // files
  `access chdir chmod chown chroot close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
  fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs
  fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat
  mkdir mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2
  read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr
  setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat
  utime utimensat utimes vmsplice write writev cachestat`,
  // waiting and events
  `epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
  io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit pause poll ppoll pselect6 select signalfd signalfd4
  timerfd_create timerfd_gettime timerfd_settime`,
  // memory
  `brk madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync
  munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages`,
  // processes, threads, signals
  `alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake
  get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid
  getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64
  process_mrelease restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
  rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
  sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid
  setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack
  tgkill tkill vfork wait4 waitid`,
  // messages between processes of the sandbox
  `mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop
  semtimedop shmat shmctl shmdt shmget`,
  // sockets, once made
  `accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
  sendto setsockopt shutdown socketpair`,
  // time, chance and the machine
  `clock_getres clock_gettime clock_nanosleep getrandom gettimeofday nanosleep sysinfo time timer_create timer_delete
  timer_getoverrun timer_gettime timer_settime times uname riscv_flush_icache riscv_hwprobe`,
];

/** ADDR_COMPAT_LAYOUT and the like are asked for by debuggers; 0xffffffff only asks what is set. */
const PERSONALITIES = [0, 0x0008, 0x20000, 0x20008, 0xffffffff];

interface Argument {
  readonly index: number;
  readonly value: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
  readonly valueTwo?: number;
}

export interface SeccompProfile {
  readonly defaultAction: "SCMP_ACT_ERRNO";
  readonly defaultErrnoRet: number;
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
    readonly errnoRet?: number;
    readonly args?: readonly Argument[];
  }[];
}

export function seccompProfile(): SeccompProfile {
  const names = ALLOWED.flatMap((group) => group.split(/\s+/u));
  const equals = (index: number, value: number): Argument => ({ index, value, op: "SCMP_CMP_EQ" });
  const allow = (name: string, ...args: readonly Argument[]) =>
    ({ names: [name], action: "SCMP_ACT_ALLOW", args }) as const;
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    syscalls: [
      { names, action: "SCMP_ACT_ALLOW" },
      ...[AF_UNIX, AF_INET, AF_INET6].map((family) => allow("socket", equals(0, family))),
      allow("socket", equals(0, AF_NETLINK), equals(2, NETLINK_ROUTE)),
      {
        names: ["socket"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: EPROTONOSUPPORT,
        args: [equals(0, AF_NETLINK), equals(2, NETLINK_AUDIT)],
      },
      ...PERSONALITIES.map((persona) => allow("personality", equals(0, persona))),
      allow("clone", { index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
    ],
  };
}
