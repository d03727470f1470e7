/**
 * Writes another loader into a program, where the kernel looks for it.
 *
 * sshd starts sshd-session itself (OpenSSH 9.8 and newer), so nobody can put our loader in front of it.
 */

const PT_INTERP = 3;

/**
 * @returns a copy that names `loader`
 * @throws {RangeError} not a 64-bit little-endian program, or no room for the name
 */
export function withInterpreter(program: Buffer, loader: string): Buffer {
  const isElf64 = program.subarray(0, 6).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]));
  if (!isElf64) throw new RangeError("not a 64-bit program");
  const table = Number(program.readBigUInt64LE(0x20));
  const size = program.readUInt16LE(0x36);
  const count = program.readUInt16LE(0x38);
  for (let row = table; row < table + size * count; row += size) {
    if (program.readUInt32LE(row) !== PT_INTERP) continue;
    const at = Number(program.readBigUInt64LE(row + 0x08));
    const room = Number(program.readBigUInt64LE(row + 0x20));
    if (loader.length >= room) throw new RangeError(`no room for "${loader}"`);
    const changed = Buffer.from(program);
    changed.fill(0, at, at + room).write(loader, at, "latin1");
    return changed;
  }
  throw new RangeError("it names no loader");
}
