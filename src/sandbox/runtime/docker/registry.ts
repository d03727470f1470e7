/**
 * A registry that one engine pulls one pushed image from, and nobody else: on loopback, at a port and under a name that are
 * nowhere written, read-only, for as long as the pull takes. The engine asks for just the layers that it does not have.
 */

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { nodeHttp } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import type { PushedImage } from "../runtime.ts";

export interface Registry extends AsyncDisposable {
  /** What the engine is told to pull. */
  readonly reference: string;
}

interface Served {
  readonly path: string;
  readonly type: string;
}

/** @param secret a name that nobody can guess: small letters and digits */
export async function openRegistry(image: PushedImage, secret: string, signal: AbortSignal): Promise<Registry> {
  const served = await partsOf(image);
  const repository = `p2prc/${secret}`;
  const server = nodeHttp.createServer((request, response) => {
    void answer({ request, response }, { served, repository });
  });
  server.listen({ host: "127.0.0.1", port: 0, exclusive: true });
  await once(server, "listening", { signal });
  const { port } = server.address() as AddressInfo;
  return {
    reference: `127.0.0.1:${port}/${repository}@${image.digest}`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What its manifest names, and nothing else that lies beside it. */
async function partsOf({ digest, folder }: PushedImage): Promise<ReadonlyMap<string, Served>> {
  const pathOf = (part: string) => join(folder, "blobs", "sha256", part.slice("sha256:".length));
  const text = await readFile(pathOf(digest), "utf8").catch((cause: unknown) => {
    throw new Failure("not-found", "the image has been removed meanwhile", { cause });
  });
  // It was checked when it was admitted.
  const manifest = JSON.parse(text) as {
    readonly mediaType?: string;
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  const parts = [manifest.config, ...manifest.layers].map(
    (part) => [`blobs/${part.digest}`, { path: pathOf(part.digest), type: "application/octet-stream" }] as const,
  );
  const type = manifest.mediaType ?? "application/vnd.oci.image.manifest.v1+json";
  return new Map([[`manifests/${digest}`, { path: pathOf(digest), type }], ...parts]);
}

async function answer(
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  { served, repository }: { readonly served: ReadonlyMap<string, Served>; readonly repository: string },
): Promise<void> {
  const { method, url = "" } = request;
  response.setHeader("docker-distribution-api-version", "registry/2.0");
  if (method !== "GET" && method !== "HEAD") {
    response.writeHead(405).end();
    return;
  }
  if (url === "/v2/") {
    response.writeHead(200).end();
    return;
  }
  const name = url.startsWith(`/v2/${repository}/`) ? url.slice(`/v2/${repository}/`.length) : "";
  const part = served.get(name);
  const found = part === undefined ? undefined : await stat(part.path).catch(() => undefined); // then it is gone
  if (part === undefined || found === undefined) {
    response.writeHead(404, { "content-type": "application/json" }).end('{"errors":[{"code":"NAME_UNKNOWN"}]}');
    return;
  }
  response.writeHead(200, {
    "content-type": part.type,
    "content-length": found.size,
    "docker-content-digest": name.slice(name.indexOf("/") + 1),
  });
  if (method === "HEAD") response.end();
  else pipeline(createReadStream(part.path), response, () => undefined); // the engine asks again where it broke
}
