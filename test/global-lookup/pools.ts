import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AnnouncerKey, generateAnnouncerKey, openHyperdhtPool, type Pool } from "@tributary/global-lookup";
import { type Environment, silentLogger, systemClock } from "@tributary/runtime";
import { expect, vi } from "vitest";

/** A member of a pool in this process. */
export interface Member {
  readonly pool: Pool;
  readonly key: AnnouncerKey;
}

export const ENV: Environment = { clock: systemClock(), random: Math.random, logger: silentLogger };

/** Returns the loopback address of the member with this number: limits count by address. */
export function memberAddress(index: number): string {
  return `127.0.1.${index + 1}`;
}

/** Returns a UDP port that is free at the moment. */
export async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.1.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** Opens a pool of members that join by the first one. */
export async function openPools(count: number, port: number, records = 1000): Promise<Member[]> {
  const bootstrap = [{ host: memberAddress(0), port }];
  const members: Member[] = [];
  for (let index = 0; index < count; index++) {
    const key = generateAnnouncerKey();
    const options = { listen: { host: memberAddress(index), port }, bootstrap, records };
    members.push({ key, pool: await openHyperdhtPool({ env: ENV, key }, options) });
  }
  await untilKnown(members);
  return members;
}

/** Resolves when every member knows all others. */
export async function untilKnown(members: readonly Member[]): Promise<void> {
  const known = () => members.map(({ pool }) => pool.status().members);
  const all = members.map(() => members.length - 1);
  await vi.waitFor(() => expect(known()).toEqual(all), { timeout: 60_000, interval: 20 });
}
