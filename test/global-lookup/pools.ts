import { type AnnouncerKey, generateAnnouncerKey, openHyperdhtPool, type Pool } from "@tributary/global-lookup";
import { expect, vi } from "vitest";
import { memberAddress } from "./addresses.js";
import { ENV } from "./environment.js";

/** A member of a pool in this process. */
export interface Member {
  readonly pool: Pool;
  readonly key: AnnouncerKey;
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
