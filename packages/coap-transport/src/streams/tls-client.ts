import { checkServerIdentity, connect, type TLSSocket } from "node:tls";
import { TransportError } from "../errors.js";
import type { StreamSocket } from "../tcp/stream-socket.js";
import type { PeerIdentity, TlsClientCredentials } from "../types.js";
import { HIGH_WATER_BYTES, NodeStreamSocket } from "./node-stream-socket.js";
import { ALPN_PROTOCOLS, clientContext, tlsProblem } from "./tls-credentials.js";
import { identityOfCertificate, shownCertificate } from "./tls-identity.js";

/** A server as a URI names it: its certificate has to be for this host. */
export interface TlsTarget {
  readonly host: string;
  readonly hostIsLiteral: boolean;
}

/**
 * Connects to an IP literal (zone included) and port by TLS, and verifies who is there. `signal` ends the attempt.
 * @throws {TransportError} UNREACHABLE, BAD_ARGUMENT
 */
export async function connectTls(
  address: string,
  port: number,
  target: TlsTarget,
  { credentials, signal }: { readonly credentials: TlsClientCredentials; readonly signal: AbortSignal },
): Promise<StreamSocket> {
  const { preSharedKey, serverName } = credentials;
  const name = serverName ?? target.host;
  const isAddress = serverName === undefined && target.hostIsLiteral;
  const options = {
    ...{ host: address, port, ALPNProtocols: [...ALPN_PROTOCOLS], highWaterMark: HIGH_WATER_BYTES },
    secureContext: clientContext(credentials),
    // An address is never sent as a name (RFC 6066 section 3).
    ...(isAddress ? {} : { servername: name }),
    ...(preSharedKey === undefined
      ? {
          checkServerIdentity: (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
            checkServerIdentity(name, certificate),
        }
      : {
          pskCallback: () => ({ identity: preSharedKey.identity, psk: Buffer.from(preSharedKey.key) }),
          // A key has no name; that the server has it was proved by the handshake.
          checkServerIdentity: () => undefined,
        }),
  };
  const socket = connect(options);
  socket.setNoDelay(true);
  const stop = () => socket.destroy(new Error("given up"));
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("secureConnect", () => {
        socket.removeListener("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.destroy();
    throw new TransportError("UNREACHABLE", `the peer cannot be reached by TLS: ${tlsProblem(cause)}`, { cause });
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return new NodeStreamSocket(socket, { identity: identityOf(socket, preSharedKey?.identity) });
}

function identityOf(socket: TLSSocket, keyName: string | undefined): PeerIdentity {
  const certificate = keyName === undefined ? shownCertificate(socket) : undefined;
  if (certificate !== undefined) return identityOfCertificate(certificate);
  const name = keyName ?? "";
  return { kind: "psk", name, names: [name] };
}
