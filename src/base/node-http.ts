/**
 * Node's HTTP/1.1, without what hangs on it: `import` reads every name that a module exports, and those of node:http that
 * speak of WebSocket load all of undici when they are read (35 ms, 15 MB).
 */

import { getBuiltinModule } from "node:process";

export const { Agent, createServer, request } = getBuiltinModule("node:http");
