import assert from "node:assert/strict";
import { sign, verify, X509Certificate } from "node:crypto";
import { describe, test } from "node:test";
import { nodeIdFromPublicKey } from "../core/index.ts";
import { identityFromSeed, nodeIdFromCertificate } from "./identity.ts";

const seed = Buffer.alloc(32, 7);

describe("identity", () => {
  test("is the same for the same seed, and another for another", async () => {
    const [one, same, other] = [
      await identityFromSeed(seed),
      await identityFromSeed(seed),
      await identityFromSeed(Buffer.alloc(32, 8)),
    ];
    assert.equal(one.id, same.id);
    assert.notEqual(one.id, other.id);
  });

  test("has the public key of RFC 8032's first test vector", async () => {
    const vector = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    const key = Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex");
    assert.equal((await identityFromSeed(vector)).id, nodeIdFromPublicKey(key));
  });

  test("carries its key, and nothing but its id, in a certificate that its key signed", async () => {
    const { id, certificate, key } = await identityFromSeed(seed);
    const read = new X509Certificate(certificate);
    assert.equal(nodeIdFromCertificate(read.raw), id);
    assert.equal(read.subject, `CN=${id}`);
    assert.ok(read.verify(read.publicKey));
    assert.ok(verify(null, Buffer.from("text"), read.publicKey, sign(null, Buffer.from("text"), key)));
  });

  test("keeps the certificate of an earlier time, where it is its own", async () => {
    const { certificate } = await identityFromSeed(seed);
    assert.equal((await identityFromSeed(seed, certificate)).certificate, certificate);
  });

  test("makes another where the kept one is damaged, or of another key", async () => {
    const foreign = (await identityFromSeed(Buffer.alloc(32, 8))).certificate;
    for (const kept of [foreign, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]) {
      const { id, certificate } = await identityFromSeed(seed, kept);
      assert.equal(nodeIdFromCertificate(Buffer.from(certificate)), id);
    }
  });

  test("reads no id from a key of another kind", () => {
    assert.equal(nodeIdFromCertificate(Buffer.from(FOREIGN, "base64")), undefined);
    assert.throws(() => nodeIdFromCertificate(Buffer.alloc(64)));
  });
});

/** Self-signed, of an ECDSA key: `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256`. */
const FOREIGN =
  "MIIBbzCCARWgAwIBAgIUYH0x76YP5Eo/pjTVK6qZAuSvi7IwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeDAgFw0yNjExMjMxMzM5MjhaGA8yMTI2MTAzMDEzMzkyOFowDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMebeRgiKj+92TZjQK/cMBAUfNVg2hBhLrwI3TCwcBkaPMTqcOgCc3Qk3AInhikZ2qJVWkntGC1bv9tJp4/Pf+ajUzBRMB0GA1UdDgQWBBTdsjGaH5x0mNjGFgTaFgCKI+qE4jAfBgNVHSMEGDAWgBTdsjGaH5x0mNjGFgTaFgCKI+qE4jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCoIL1CGke4rmG+xFNcx8zf5adF4+0oLyadWA9CJ4hliwIgA0ZqEElVykkXc/cAGWsadX3YrinWjFL3i3o3gZ6HuC0=";
