import { describe, expect, test } from "vitest";
import { IGNORE_OUTCOME } from "../message/transmission.js";
import { Exchange, type PeerRecord } from "./peer-record.js";
import { PeerTable, takeMessageId } from "./peer-table.js";

const random = (): number => 0.5;

function exchangeWith(record: PeerRecord): Exchange {
  const message = { datagram: new Uint8Array(4), isConfirmable: true, isAcknowledgedAtOnce: false };
  return new Exchange({ finish: () => {} }, record, message, IGNORE_OUTCOME);
}

test("the same address and port are the same record; the zone counts", () => {
  const peers = new PeerTable({ random }, { maxPeers: 10 });
  const record = peers.at("fe80::1%eth0", 5683);
  expect(peers.at("fe80::1%eth0", 5683)).toBe(record);
  expect(peers.at("fe80::1%eth1", 5683)).not.toBe(record);
  expect(peers.at("fe80::1%eth0", 5684)).not.toBe(record);
  expect(record.peer).toMatchObject({ transport: "udp", address: "fe80::1", zone: "eth0", port: 5683 });
  expect(record.to).toEqual({ address: "fe80::1%eth0", port: 5683 });
  expect(peers.of(record.peer)).toBe(record);
});

test("a flood of newcomers does not grow the table, nor remove a peer that is busy or was in use since", () => {
  const peers = new PeerTable({ random }, { maxPeers: 100 });
  const busy = peers.at("192.0.2.1", 1);
  busy.waiting.add(exchangeWith(busy));
  const regular = peers.at("192.0.2.2", 1);
  for (let port = 1; port <= 20_000; port++) {
    peers.at("198.51.100.1", port);
    if (port % 50 === 0) peers.at("192.0.2.2", 1);
  }
  expect(peers.size).toBeLessThanOrEqual(101);
  expect(peers.at("192.0.2.1", 1)).toBe(busy);
  expect(peers.at("192.0.2.2", 1)).toBe(regular);
});

test("message ids wrap, and pass over those in use", () => {
  const record = new PeerTable({ random }, { maxPeers: 1 }).at("192.0.2.1", 1);
  record.nextMessageId = 65_534;
  const message = exchangeWith(record);
  record.outstanding.set(65_535, message);
  record.outstanding.set(0, message);
  expect([takeMessageId(record), takeMessageId(record), takeMessageId(record)]).toEqual([65_534, 1, 2]);
  for (let messageId = 0; messageId < 65_536; messageId++) record.outstanding.set(messageId, message);
  expect(takeMessageId(record)).toBeNull();
});

describe("own addresses", () => {
  const table = () => new PeerTable({ random: () => 0 }, { maxPeers: 8 });

  test("a peer that speaks to two addresses of this host is two", () => {
    const peers = table();
    const [first, second] = [peers.at("2001:db8::9", 7, "2001:db8::1"), peers.at("2001:db8::9", 7, "2001:db8::2")];
    expect(first).not.toBe(second);
    expect([first.to.local, second.to.local]).toEqual(["2001:db8::1", "2001:db8::2"]);
    expect(peers.of(first.peer)).toBe(first);
    expect(peers.at("2001:db8::9", 7, "2001:db8::1")).toBe(first);
  });

  test("one that was heard before its address was known is the same, at the first address that it speaks to", () => {
    const peers = table();
    const heard = peers.at("2001:db8::9", 7);
    expect(peers.at("2001:db8::9", 7, "2001:db8::1")).toBe(heard);
    expect(heard.to.local).toBe("2001:db8::1");
    expect(peers.at("2001:db8::9", 7, "2001:db8::2")).not.toBe(heard);
  });

  test("one that was forgotten is known again with its own address", () => {
    const peers = table();
    const { peer } = peers.at("fe80::9%eth0", 7, "fe80::1%eth0");
    for (let port = 1; port <= 32; port++) peers.at("2001:db8::8", port);
    expect(peers.of(peer).to).toEqual({ address: "fe80::9%eth0", port: 7, local: "fe80::1%eth0" });
  });
});
