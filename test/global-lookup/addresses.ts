import { createSocket } from "node:dgram";
import { once } from "node:events";

/** Returns the loopback address of the member with this number: limits count by address. */
export function memberAddress(index: number): string {
  return `127.0.1.${index + 1}`;
}

/** Returns a UDP port that is free at the moment. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, memberAddress(0));
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
