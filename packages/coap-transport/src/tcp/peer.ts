import type { Peer } from "../types.js";
import type { StreamSocket } from "./stream-socket.js";

let connections = 0;

/** Who is at the other end. Another connection is another peer, though address and port may be the same (RFC 8323 section 3). */
export function streamPeer({ remote }: Pick<StreamSocket, "remote">): Peer {
  const [address = "", zone] = remote.address.split("%");
  const key = `tcp ${remote.address} ${remote.port} #${++connections}`;
  return { key, transport: "tcp", address, port: remote.port, ...(zone === undefined ? {} : { zone }) };
}
