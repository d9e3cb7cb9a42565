import { connect, createServer, type Server } from "node:net";
import { TransportError } from "../errors.js";
import type { StreamListener, StreamSocket } from "../tcp/stream-socket.js";
import { HIGH_WATER_BYTES, NodeStreamSocket } from "./node-stream-socket.js";

/**
 * Take connections on an IP literal (zone included) and port, 0 for any. `::` takes IPv4 as well.
 * @throws {TransportError} BIND_FAILED
 */
export async function listenTcp(
  address: string,
  port: number,
  accept: (socket: StreamSocket) => void,
): Promise<StreamListener> {
  const server = createServer({ noDelay: true, pauseOnConnect: true, highWaterMark: HIGH_WATER_BYTES }, (socket) => {
    // The peer has closed the connection before it was accepted.
    if (socket.remoteAddress === undefined) socket.destroy();
    else accept(new NodeStreamSocket(socket));
  });
  return await bindServer(server, address, port);
}

/**
 * Binds a server to an IP literal (zone included) and port, 0 for any.
 * @throws {TransportError} BIND_FAILED
 */
export async function bindServer(server: Server, address: string, port: number): Promise<StreamListener> {
  await bind(server, address, port);
  const bound = server.address();
  const boundPort = bound !== null && typeof bound === "object" ? bound.port : port;
  return { local: { address, port: boundPort }, close: () => void server.close() };
}

async function bind(server: Server, address: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port, exclusive: true }, () => {
        server.removeListener("error", reject);
        // Out of descriptors, for example: that connection is lost, the others go on.
        server.on("error", () => {});
        resolve();
      });
    });
  } catch (cause) {
    const inUse = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const why = inUse ? "it is in use" : String(cause instanceof Error ? cause.message : cause);
    throw new TransportError("BIND_FAILED", `cannot listen on ${address} port ${port}: ${why}`, { cause });
  }
}

/**
 * Connect to an IP literal (zone included) and port.
 * @throws {TransportError} UNREACHABLE
 */
export async function connectTcp(address: string, port: number): Promise<StreamSocket> {
  const options = { host: address, port, noDelay: true, highWaterMark: HIGH_WATER_BYTES };
  const socket = connect(options);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.destroy();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TransportError("UNREACHABLE", `the peer cannot be reached: ${why}`, { cause });
  }
  return new NodeStreamSocket(socket);
}
