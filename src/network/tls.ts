/**
 * TLS 1.3 with both sides' keys in view, over any duplex: a TCP socket, or a stream through a relay.
 *
 * The dialler always learns the key at the other end; the listener sees the dialler's, or none
 * (an anonymous client such as curl). ALPN says who asks. Node decides nothing here
 * (`rejectUnauthorized: false`): the one check is that the key is the one that was wanted.
 */

import { constants } from "node:crypto";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { cleanText, Failure, type NodeId, shortNodeId } from "../core/index.ts";
import { type Identity, nodeIdFromCertificate } from "./identity.ts";

/** The dialler asks (plain HTTP/2, as curl speaks it), or the dialler answers. */
const ASK = "h2";
const REVERSE = "p2prc-reverse/1";
/** For `curl --http1.1` and browsers, which may only look at the public description. */
const HTTP1 = "http/1.1";

export type Protocol = "ask" | "reverse" | "http1";

export interface SecureEnd {
  readonly socket: TLSSocket;
  /** Undefined on the listening side: a client without a certificate. */
  readonly peer: NodeId | undefined;
  readonly protocol: Protocol;
}

export interface Wanted {
  /** The key that must answer. Undefined: any. */
  readonly expect: NodeId | undefined;
  readonly asks: boolean;
}

export class Tls {
  readonly #context: SecureContext;

  constructor(identity: Identity) {
    this.#context = createSecureContext({
      cert: identity.certificate,
      key: identity.privateKey,
      minVersion: "TLSv1.3",
      maxVersion: "TLSv1.3",
      // Without tickets every connection shows its key again (transport.md, option E).
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
  }

  /**
   * Secures `duplex` from the dialling side. It belongs to the result, or is destroyed.
   * @throws {Failure} wrong-key, unreachable
   */
  async dial(
    duplex: Duplex,
    { expect, asks }: Wanted,
    signal: AbortSignal,
  ): Promise<SecureEnd & { readonly peer: NodeId }> {
    const protocol = asks ? ASK : REVERSE;
    const socket = connect({
      socket: duplex,
      secureContext: this.#context,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ALPNProtocols: [protocol],
    });
    await handshake(socket, "secureConnect", signal);
    try {
      const peer = peerOf(socket);
      if (peer === undefined || socket.alpnProtocol !== protocol) {
        throw new Failure("unreachable", "something answers there, but it is not a p2prc node");
      }
      if (expect !== undefined && peer !== expect) throw wrongKey(peer, expect);
      return { socket, peer, protocol: asks ? "ask" : "reverse" };
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /**
   * Secures `duplex` from the listening side. It belongs to the result, or is destroyed.
   * @throws {Failure} unreachable
   */
  async accept(duplex: Duplex, signal: AbortSignal): Promise<SecureEnd> {
    const socket = new TLSSocket(duplex, {
      isServer: true,
      secureContext: this.#context,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [ASK, REVERSE, HTTP1],
    });
    await handshake(socket, "secure", signal);
    // tls.Server sets this in its own "secure" listener; http2 waits for it. The carriers' suite fails without it.
    Object.assign(socket, { secureConnecting: false });
    return { socket, peer: peerOf(socket), protocol: protocolOf(socket) };
  }
}

function handshake(socket: TLSSocket, done: "secure" | "secureConnect", signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      release();
      socket.destroy();
      reject(error);
    };
    const onAbort = () => fail(signal.reason as Error);
    const onDone = () => {
      release();
      resolve();
    };
    const onError = (cause: Error) =>
      fail(new Failure("unreachable", `no p2prc node answers there: ${whyNot(cause)}`, { cause }));
    const onClose = () => fail(new Failure("unreachable", "the other end hung up in mid-handshake"));
    const release = () => {
      signal.removeEventListener("abort", onAbort);
      socket.off(done, onDone).off("close", onClose).off("error", onError);
      socket.on("error", () => {}); // "close" follows and is what counts from here on
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on(done, onDone).on("close", onClose).on("error", onError);
  });
}

/** OpenSSL's own text has addresses, file names and a line end in it. */
function whyNot(cause: Error & { readonly code?: unknown; readonly reason?: unknown }): string {
  if (cause.code === "ERR_SSL_WRONG_VERSION_NUMBER") return "what answers does not speak TLS";
  return cleanText(typeof cause.reason === "string" ? cause.reason : cause.message.trim(), 120);
}

function wrongKey(found: NodeId, expected: NodeId): Failure {
  return new Failure(
    "wrong-key",
    `another node answers there: ${shortNodeId(found)} instead of ${shortNodeId(expected)}`,
    {
      hint: "its key changed or somebody is in between; ask its owner, and join anew if he confirms it",
    },
  );
}

function protocolOf(socket: TLSSocket): Protocol {
  if (socket.alpnProtocol === ASK) return "ask";
  return socket.alpnProtocol === REVERSE ? "reverse" : "http1"; // `false`: the client offered none
}

function peerOf(socket: TLSSocket): NodeId | undefined {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : nodeIdFromCertificate(certificate.raw);
}
