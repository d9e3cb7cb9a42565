import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { Deduplication } from "./deduplication.js";
import { PeerTable } from "./peer-table.js";

function table(options: { maxEntries?: number; maxBytes?: number } = {}) {
  const clock = createVirtualClock();
  const deduplication = new Deduplication({ clock }, { maxEntries: 100, maxBytes: 1000, lifetimeMs: 1000, ...options });
  const record = new PeerTable({ random: () => 0 }, { maxPeers: 10 }).at("192.0.2.1", 1);
  const datagram = Uint8Array.of(1, 2, 3);
  const isNew = (messageId: number): boolean => deduplication.find(record, messageId, datagram) === null;
  return { clock, deduplication, record, datagram, isNew };
}

test("what was answered is found again, until its time is over", async () => {
  const { clock, deduplication, record, datagram, isNew } = table();
  expect(isNew(7)).toBe(true);
  deduplication.setResponse(record, 7, Uint8Array.of(9));
  await clock.advance(999);
  expect(deduplication.find(record, 7, datagram)?.response).toEqual(Uint8Array.of(9));
  await clock.advance(1);
  expect(isNew(7)).toBe(true);
});

test("expired entries make room with each new one, and leave nothing behind at the peer", async () => {
  const { clock, deduplication, record, isNew } = table();
  for (let messageId = 0; messageId < 50; messageId++) isNew(messageId);
  await clock.advance(1000);
  for (let messageId = 100; messageId < 120; messageId++) isNew(messageId);
  expect(deduplication.size).toBe(20);
  expect(record.recent.size).toBe(20);
});

test("no more bytes are kept than allowed: the oldest go", () => {
  const { deduplication, record, isNew } = table();
  for (let messageId = 0; messageId < 20; messageId++) {
    isNew(messageId);
    deduplication.setResponse(record, messageId, new Uint8Array(100));
  }
  expect(deduplication.size).toBe(10);
  expect([isNew(19), isNew(10), isNew(9)]).toEqual([false, false, true]);
});

test("no more entries are kept than allowed", () => {
  const { deduplication, record, isNew } = table({ maxEntries: 3 });
  for (let messageId = 0; messageId < 1000; messageId++) isNew(messageId);
  expect([deduplication.size, record.recent.size]).toEqual([3, 3]);
});
