import { createSocket } from "node:dgram";
import {
  generateAnnouncerKey,
  nameKey,
  openHyperdhtPool,
  type Pool,
  readRecord,
  writeRecord,
} from "@tributary/global-lookup";
import { seededRandom } from "@tributary/runtime/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freeUdpPort, memberAddress } from "./addresses.js";
import { ENV } from "./environment.js";
import { type Member, openPools } from "./pools.js";

const NOW_S = Math.floor(Date.now() / 1000);

/** All announcers that a member finds, in hexadecimal. */
async function found(pool: Pool, name: string): Promise<string[]> {
  const keys = new Set<string>();
  for await (const key of pool.find(nameKey(name), AbortSignal.timeout(3000))) keys.add(hex(key));
  return [...keys].sort();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe.each([{ count: 2 }, { count: 8 }])("a pool of $count members", ({ count }) => {
  let members: Member[];
  let port: number;

  beforeAll(async () => {
    port = await freeUdpPort();
    members = await openPools(count, port);
  });
  afterAll(() => Promise.all(members.map(({ pool }) => pool.close())));

  test("what one announces, every other one finds, until it is withdrawn", async () => {
    const [announcer, ...others] = members as [Member, ...Member[]];
    await announcer.pool.announce(nameKey("node1"));
    for (const { pool } of others) expect(await found(pool, "node1")).toEqual([hex(announcer.key.publicKey)]);
    await announcer.pool.withdraw(nameKey("node1"));
    for (const { pool } of others) expect(await found(pool, "node1")).toEqual([]);
  });

  test("every member that announces a name is found", async () => {
    const [one, two] = [members[0], members.at(-1)] as [Member, Member];
    await Promise.all([one, two].map(({ pool }) => pool.announce(nameKey("node2"))));
    const announcers = [hex(one.key.publicKey), hex(two.key.publicKey)].sort();
    // An announcer does not keep its own announcement; it knows what is registered there.
    expect(await found(one.pool, "node2")).toEqual(expect.arrayContaining([hex(two.key.publicKey)]));
    for (const { pool } of members.slice(1, -1)) expect(await found(pool, "node2")).toEqual(announcers);
  });

  test("the record of each is read by the others, and the latest one", async () => {
    const [publisher, ...others] = members as [Member, ...Member[]];
    for (const sequence of [5, 6]) {
      const record = writeRecord(publisher.key, { sequence, expiresAtS: NOW_S + 60, uris: ["coap://192.0.2.1"] });
      await publisher.pool.publish(record, sequence);
      for (const { pool } of others) {
        const bytes = await pool.readRecord(publisher.key.publicKey, AbortSignal.timeout(3000));
        expect(readRecord(bytes ?? new Uint8Array(), publisher.key.publicKey, NOW_S)).toMatchObject({
          ok: true,
          record: { sequence },
        });
      }
    }
  });

  test("nobody has a record of an unknown announcer", async () => {
    const { publicKey } = generateAnnouncerKey();
    expect(await (members[1] as Member).pool.readRecord(publicKey, AbortSignal.timeout(3000))).toBeNull();
  });

  test("a member keeps no more announcements of one peer than its share", async () => {
    const crowded = await openHyperdhtPool(
      { env: ENV, key: generateAnnouncerKey() },
      { listen: { host: memberAddress(40 + count), port }, bootstrap: [{ host: memberAddress(0), port }], records: 10 },
    );
    const announcer = members[1] as Member;
    await expect.poll(() => announcer.pool.status().members).toBe(count);
    for (let index = 0; index < 8; index++) await announcer.pool.announce(nameKey(`many${index}`));
    expect(crowded.status().refused.get("records")).toBe(3);
    await crowded.close();
  }, 20_000);
});

test("a member without others says that the pool is away", async () => {
  const port = await freeUdpPort();
  const listen = { host: memberAddress(0), port };
  const pool = await openHyperdhtPool({ env: ENV, key: generateAnnouncerKey() }, { listen, bootstrap: [listen] });
  await expect(pool.announce(nameKey("node1"))).rejects.toMatchObject({ code: "POOL_AWAY" });
  await expect(found(pool, "node1")).rejects.toMatchObject({ code: "POOL_AWAY" });
  expect(pool.status()).toMatchObject({ members: 0, awayReason: "nobody of the pool responds" });
  await pool.close();
  await expect(pool.announce(nameKey("node1"))).rejects.toMatchObject({ code: "POOL_AWAY" });
});

test("no datagrams end a member, or what it knows", async () => {
  const port = await freeUdpPort();
  const rate = { burst: 1e9, perSecond: 1e9 };
  const bootstrap = [{ host: memberAddress(0), port }];
  const members = await Promise.all(
    [0, 1].map(async (index) => {
      const options = { listen: { host: memberAddress(index), port }, bootstrap, rate };
      return await openHyperdhtPool({ env: ENV, key: generateAnnouncerKey() }, options);
    }),
  );
  const [one, two] = members as [Pool, Pool];
  await expect.poll(() => two.status().members).toBe(1);
  await two.announce(nameKey("node1"));
  const socket = createSocket("udp4");
  const send = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) =>
      socket.send(bytes, port, memberAddress(0), (error) => (error === null ? resolve() : reject(error))),
    );
  const random = seededRandom(1);
  for (let index = 0; index < 5000; index++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 150) }, () => Math.floor(random() * 256));
    // Requests and responses of the right version, with all members that a header may have.
    if (index % 4 !== 0 && bytes.length > 2)
      bytes.set([index % 2 === 0 ? 3 : 19, index % 3 === 0 ? 255 : Math.floor(random() * 256)]);
    await send(bytes);
  }
  socket.close();
  expect(await found(one, "node1")).toHaveLength(1);
  await Promise.all(members.map((pool) => pool.close()));
});

test("an address that is taken is refused", async () => {
  const port = await freeUdpPort();
  const [member] = (await openPools(1, port)) as [Member];
  const again = openHyperdhtPool(
    { env: ENV, key: generateAnnouncerKey() },
    { listen: { host: memberAddress(0), port }, bootstrap: [] },
  );
  await expect(again).rejects.toMatchObject({ code: "POOL_BIND_FAILED" });
  await member.pool.close();
});
