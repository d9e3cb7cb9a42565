import type { Peer } from "../types.js";
import type { StreamSocket } from "./stream-socket.js";

let connections = 0;

/** Who is at the other end. Another connection is another peer, though address and port may be the same (RFC 8323 section 3). */
export function streamPeer(socket: Pick<StreamSocket, "remote" | "transport" | "identity">): Peer {
  const { remote, transport = "tcp", identity } = socket;
  const [address = "", zone] = remote.address.split("%");
  const key = `${transport} ${remote.address} ${remote.port} #${++connections}`;
  const peer: Peer = { key, transport, address, port: remote.port };
  return { ...peer, ...(zone === undefined ? {} : { zone }), ...(identity === undefined ? {} : { identity }) };
}

/** The scheme of URIs that are reached over the connection of a peer (RFC 8323 section 8). Pure. */
export function streamScheme({ transport }: Pick<Peer, "transport">): "coap+tcp" | "coaps+tcp" {
  return transport === "tls" ? "coaps+tcp" : "coap+tcp";
}
