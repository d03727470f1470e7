/**
 * What a node is: an Ed25519 key, and the certificate that carries it through TLS.
 *
 * The certificate is self-signed and says nothing but the key; nobody looks at its names or dates
 * (a clock may be off by a year), both ends look at the key only.
 */

import { type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { type NodeId, nodeIdFromPublicKey, PUBLIC_KEY_BYTES, privateKeyFromSeed } from "../core/index.ts";

export interface Identity {
  readonly id: NodeId;
  readonly key: KeyObject;
  /** PEM, for TLS. */
  readonly certificate: string;
  readonly privateKey: string;
}

/**
 * @param seed 32 bytes, the node's secret
 * @param kept the certificate of an earlier time: used when it is this key's, so that what makes one (19 MB) is not loaded
 */
export async function identityFromSeed(seed: Uint8Array, kept?: string): Promise<Identity> {
  const key = privateKeyFromSeed(seed);
  const id = nodeIdFromPublicKey(Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url"));
  const certificate = kept !== undefined && isOf(id, kept) ? kept : await makeCertificate(id, key);
  const privateKey = key.export({ format: "pem", type: "pkcs8" }).toString();
  return { id, key, certificate, privateKey };
}

/** The NodeId in a TLS certificate. Undefined: it holds some other kind of key. */
export function nodeIdFromCertificate(der: Uint8Array): NodeId | undefined {
  const { publicKey } = new X509Certificate(der);
  if (publicKey.asymmetricKeyType !== "ed25519") return undefined;
  const x = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  return x.length === PUBLIC_KEY_BYTES ? nodeIdFromPublicKey(x) : undefined;
}

function isOf(id: NodeId, pem: string): boolean {
  try {
    return nodeIdFromCertificate(Buffer.from(pem)) === id;
  } catch {
    return false; // damaged: another one is made
  }
}

async function makeCertificate(id: NodeId, key: KeyObject): Promise<string> {
  await import("reflect-metadata"); // @peculiar/x509 wants it there before itself
  const { X509CertificateGenerator } = await import("@peculiar/x509");
  const jwk = key.export({ format: "jwk" });
  const { d: _secret, ...publicJwk } = jwk;
  const { subtle } = webcrypto;
  const keys = {
    privateKey: await subtle.importKey("jwk", { ...jwk, key_ops: ["sign"] }, "Ed25519", false, ["sign"]),
    publicKey: await subtle.importKey("jwk", { ...publicJwk, key_ops: ["verify"] }, "Ed25519", true, ["verify"]),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: `CN=${id}`,
    notBefore: new Date(Date.UTC(2000, 0, 1)),
    notAfter: new Date(Date.UTC(2099, 11, 31)),
    signingAlgorithm: "Ed25519",
    keys,
  });
  return certificate.toString("pem");
}
