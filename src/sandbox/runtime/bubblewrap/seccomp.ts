/**
 * The system call filter of every sandbox, as the program that the kernel runs (classic BPF, seccomp(2)).
 *
 * Each rule is a test and an answer right behind it, so that no jump is ever longer than the few instructions of its rule.
 * The kernel keeps a table of what is always allowed: a long program costs those calls nothing.
 */

import { HIGHEST_KNOWN, type Machine, numberOf, refused, watched } from "./syscalls.ts";

// <linux/bpf_common.h>: load a word of seccomp_data; jump when equal, greater or equal, or any bit set; answer.
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

// Offsets in struct seccomp_data; arguments have 64 bits, of which the kernel reads the lower 32 of those looked at here.
const NUMBER = 0;
const ARCH = 4;
const argument = (index: number) => 16 + 8 * index;

// <linux/seccomp.h>
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const errno = (code: number) => 0x00050000 | code;

const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;

// <linux/audit.h>
const AUDIT_ARCH: Readonly<Record<Machine, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** x32: another way to make the calls of x86-64, with numbers that no list names. */
const X32_BIT = 0x40000000;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = 0x7e020000;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;

/** TIOCSTI types into the terminal of another; TIOCLINUX pastes into a console. */
const TERMINAL_REQUESTS = [0x5412, 0x541c];

/** PER_LINUX, PER_LINUX32 and the two with UNAME26, and the question what it is: no emulation of other systems. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const load = (offset: number): Instruction => [LOAD, 0, 0, offset];
const answer = (value: number): Instruction => [RETURN, 0, 0, value];
/** Answers `value` when the word loaded is `word`, else goes on. */
const when = (word: number, value: number): Instruction[] => [[JUMP_EQUAL, 0, 1, word], answer(value)];

/** A program for `bwrap --seccomp`, in this machine's byte order (both are little-endian). */
export function seccompProgram(machine: Machine): Buffer {
  const numbers = Object.values(refused).flatMap((pair) => numberOf(pair, machine) ?? []);
  const program: Instruction[] = [
    load(ARCH),
    [JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]],
    answer(KILL_PROCESS),
    load(NUMBER),
    ...(machine === "x64" ? ([[JUMP_AT_LEAST, 0, 1, X32_BIT], answer(KILL_PROCESS)] as const) : []),
    ...numbers.flatMap((number) => when(number, errno(EPERM))),
    [JUMP_AT_LEAST, 0, 1, HIGHEST_KNOWN + 1],
    answer(errno(ENOSYS)),
    ...when(numberOf(watched.clone3, machine) ?? 0, errno(ENOSYS)), // its flags lie in memory: the filter cannot read them
    ...of("clone", machine, [load(argument(0)), [JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES], answer(errno(EPERM))]),
    ...of("ioctl", machine, [
      load(argument(1)),
      ...TERMINAL_REQUESTS.flatMap((request) => when(request, errno(EPERM))),
    ]),
    ...of("personality", machine, [
      load(argument(0)),
      ...PERSONALITIES.flatMap((personality) => when(personality, ALLOW)),
      answer(errno(EPERM)),
    ]),
    ...of("socket", machine, socketRules()),
    answer(ALLOW),
  ];
  return encode(program);
}

/** `rules` for one call alone; where none of them answers it is allowed. */
function of(name: keyof typeof watched, machine: Machine, rules: readonly Instruction[]): Instruction[] {
  const body = [...rules, answer(ALLOW)];
  return [[JUMP_EQUAL, 0, body.length, numberOf(watched[name], machine) ?? 0], ...body];
}

/** Local, Internet, and of netlink only what tells addresses and routes. sshd lives on when the audit socket is "not supported". */
function socketRules(): Instruction[] {
  return [
    load(argument(0)),
    ...[AF_UNIX, AF_INET, AF_INET6].flatMap((family) => when(family, ALLOW)),
    [JUMP_EQUAL, 1, 0, AF_NETLINK],
    answer(errno(EAFNOSUPPORT)),
    load(argument(2)),
    ...when(NETLINK_ROUTE, ALLOW),
    answer(errno(EPROTONOSUPPORT)),
  ];
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
