import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seccompProgram } from "./seccomp.ts";
import { machines, type Machine, numberOf, refused } from "./syscalls.ts";

const ALLOW = "allow";
const X64 = 0xc000003e;
const ARM64 = 0xc00000b7;

describe("the filter of system calls", () => {
  for (const machine of machines) {
    test(`refuses every call of the list on ${machine}`, () => {
      const lab = new Lab(machine);
      const answers = Object.values(refused).flatMap((numbers) => {
        const number = numberOf(numbers, machine);
        return number === undefined ? [] : [lab.call(number)];
      });
      assert.deepEqual([...new Set(answers)], ["errno 1"]);
    });
  }

  test("allows what programs live of", () => {
    const lab = new Lab("x64");
    // read, write, openat, execve, futex, epoll_pwait, chroot, seccomp
    assert.deepEqual([...new Set([0, 1, 257, 59, 202, 281, 161, 317].map((number) => lab.call(number)))], [ALLOW]);
  });

  test("says of calls that came later that there are none", () => {
    assert.deepEqual([new Lab("x64").call(463), new Lab("arm64").call(1_000)], ["errno 38", "errno 38"]);
  });

  test("kills who makes calls of another machine, or of x32", () => {
    assert.equal(new Lab("x64").call(0, [], 0x40000003), "kill");
    assert.equal(new Lab("arm64").call(0, [], X64), "kill");
    assert.equal(new Lab("x64").call(0x40000000), "kill");
  });

  test("lets a process fork, and make no namespace", () => {
    const lab = new Lab("x64");
    assert.equal(lab.call(56, [0x01200011]), ALLOW); // what fork() asks
    assert.equal(lab.call(56, [0x003d0f00]), ALLOW); // what pthread_create() asks
    for (const flag of [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]) {
      assert.equal(lab.call(56, [flag | 0x11]), "errno 1");
    }
    assert.equal(lab.call(435), "errno 38"); // clone3: glibc then takes clone
  });

  test("opens sockets of the internet, of this machine and of routes, and no others", () => {
    const socket = (family: number, protocol = 0) => new Lab("x64").call(41, [family, 1, protocol]);
    assert.deepEqual([socket(1), socket(2), socket(10), socket(16)], [ALLOW, ALLOW, ALLOW, ALLOW]);
    assert.deepEqual([socket(38), socket(40), socket(17)], ["errno 97", "errno 97", "errno 97"]); // ALG, VSOCK, PACKET
    assert.deepEqual([socket(16, 9), socket(16, 12)], ["errno 93", "errno 93"]); // audit, netfilter
  });

  test("types into no other terminal", () => {
    const lab = new Lab("arm64");
    assert.deepEqual([lab.call(29, [0, 0x5412]), lab.call(29, [0, 0x5413])], ["errno 1", ALLOW]);
  });

  test("looks at the lower half of an argument alone, as the kernel does", () => {
    assert.equal(new Lab("x64").call(16, [0, 2 ** 32 + 0x5412]), "errno 1");
  });

  test("emulates no other system", () => {
    const lab = new Lab("x64");
    assert.deepEqual(
      [lab.call(135, [0]), lab.call(135, [0xffffffff]), lab.call(135, [0x0400000])],
      [ALLOW, ALLOW, "errno 1"],
    );
  });
});

/** Runs the program as the kernel would. */
class Lab {
  readonly #program: Buffer;
  readonly #arch: number;

  constructor(machine: Machine) {
    this.#program = seccompProgram(machine);
    this.#arch = machine === "x64" ? X64 : ARM64;
  }

  call(number: number, args: readonly number[] = [], arch = this.#arch): string {
    const facts = new Map([[0, number], [4, arch], ...args.map((arg, index) => [16 + index * 8, arg] as const)]);
    let word = 0;
    for (let at = 0; ; at++) {
      const code = this.#program.readUInt16LE(at * 8);
      const [ifTrue, ifFalse] = [this.#program.readUInt8(at * 8 + 2), this.#program.readUInt8(at * 8 + 3)];
      const value = this.#program.readUInt32LE(at * 8 + 4);
      if (code === 0x06) return answerOf(value);
      if (code === 0x20) word = Number(BigInt(facts.get(value) ?? 0) & 0xffffffffn);
      else at += jumps(code, word, value) ? ifTrue : ifFalse;
    }
  }
}

function jumps(code: number, word: number, value: number): boolean {
  if (code === 0x15) return word === value;
  if (code === 0x35) return word >= value;
  if (code === 0x45) return (word & value) !== 0;
  throw new Error(`no such instruction: ${code}`);
}

function answerOf(value: number): string {
  if (value === 0x7fff0000) return ALLOW;
  return value === 0x80000000 ? "kill" : `errno ${value & 0xffff}`;
}
