/** Images for tests: a root with a shell and what it needs, as a plain archive or laid out as the OCI says. */

import { createHash } from "node:crypto";
import { mkdir, readFile, realpath, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { type Header, pack } from "tar-stream";
import { librariesOf } from "../../src/sandbox/helper/libraries.ts";

export type Entry = Partial<Header> & Pick<Header, "name"> & { readonly content?: string | Uint8Array };

/** The shell of this machine, with its libraries, and a few programs. */
export async function shellRoot(signal: AbortSignal): Promise<readonly Entry[]> {
  const programs = ["/bin/sh", "/bin/cat", "/bin/ls", "/bin/chown", "/bin/stat", "/bin/id"];
  const files = new Map<string, string>();
  for (const program of programs) {
    const path = await realpath(program);
    const { loader, files: libraries } = await librariesOf(path, signal);
    files.set(program.slice(1), path);
    // Where programs ask for it by the ABI of the machine.
    if (loader !== undefined) files.set(`${process.arch === "x64" ? "lib64" : "lib"}/${basename(loader)}`, loader);
    for (const [name, library] of libraries) files.set(`lib/${name}`, library);
  }
  const entries = [...files].map(async ([name, path]) => ({ name, mode: 0o755, content: await readFile(path) }));
  const passwd = "root:x:0:0:root:/root:/bin/sh\n";
  return [
    ...(await Promise.all(entries)),
    { name: "etc/passwd", content: passwd },
    { name: "lib64/", type: "directory" },
  ];
}

export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content = "", ...head } of entries) archive.entry(head, Buffer.from(content));
  archive.finalize();
  return await buffer(archive);
}

/** @param layers from the lowest up */
export async function writeLayout(folder: string, layers: readonly Buffer[]): Promise<void> {
  const blobs = join(folder, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (content: Buffer, mediaType: string) => {
    const digest = createHash("sha256").update(content).digest("hex");
    await writeFile(join(blobs, digest), content);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const kind = "application/vnd.oci.image";
  const config = await put(
    Buffer.from(JSON.stringify({ config: { Env: ["GREETING=hello there"] } })),
    `${kind}.config.v1+json`,
  );
  const packed = await Promise.all(layers.map((layer) => put(gzipSync(layer), `${kind}.layer.v1.tar+gzip`)));
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: packed }));
  const entry = await put(manifest, `${kind}.manifest.v1+json`);
  await writeFile(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}
