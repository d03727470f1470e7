#!/usr/bin/env node
/**
 * The program. This file alone touches `process` and the console: it makes an Io of them, and hands
 * over to `main`.
 */

import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// What `ps`, `top` and "the port is taken by" show, instead of Node's "MainThread".
process.title = ["p2prc", ...process.argv.slice(2)].join(" ");
const home = process.env["P2PRC_HOME"] ?? join(homedir(), ".p2prc");
// Halves the time to start. Not where there is no home yet: who makes it sees to its rights.
if (existsSync(home)) enableCompileCache(join(home, "cache"));

const [{ main }, { processIo }] = await Promise.all([import("./main.ts"), import("./process-io.ts")]);
const { io, screen } = processIo(process, { home: homedir(), bin: import.meta.filename });
process.exitCode = await main(process.argv.slice(2), io);
screen.clear();
