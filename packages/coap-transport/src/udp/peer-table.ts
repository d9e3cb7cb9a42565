import type { DatagramPeer, Peer } from "../types.js";
import type { PeerRecord } from "./peer-record.js";

/** The peers of one socket, bounded: those idle and not heard of lately are forgotten first. */
export interface PeerTable {
  /** The record of the peer at `address` (zone included) and `port` that speaks to `local`, made when there is none. */
  at(address: string, port: number, local?: string): PeerRecord;
  /** The record of a peer that may have been forgotten meanwhile. */
  of(peer: Peer): PeerRecord;
  readonly size: number;
}

const MESSAGE_ID_SPACE = 65_536;
/** How many peers to consider before letting the table grow: keeps the cost of a newcomer constant. */
const MAX_LOOKS = 64;

export function createPeerTable(deps: { random: () => number }, options: { maxPeers: number }): PeerTable {
  const records = new Map<string, PeerRecord>();

  /** Second chance: whoever was heard of again since the last round stays for another one. */
  function makeRoom(): void {
    let looks = MAX_LOOKS;
    for (const [key, record] of records) {
      // All busy: then their number has other bounds, and the table grows for now.
      if (records.size < options.maxPeers || looks-- === 0) return;
      records.delete(key);
      if (!record.isInUse && record.outstanding.size === 0 && record.waiting.size === 0) continue;
      record.isInUse = false;
      records.set(key, record);
    }
  }

  /** One that was heard at the wildcard socket, or by multicast, and now speaks to the first address that is known. */
  function settled(bare: string, local: string): PeerRecord | undefined {
    const record = records.get(bare);
    if (record === undefined || (record.to.local ?? local) !== local) return undefined;
    if (record.to.local === undefined) record.to = { ...record.to, local };
    return record;
  }

  function at(address: string, port: number, local?: string): PeerRecord {
    const bare = `udp/${address}/${port}`;
    const key = local === undefined ? bare : `${bare}/${local}`;
    const known = records.get(key) ?? (local === undefined ? undefined : settled(bare, local));
    if (known !== undefined) {
      known.isInUse = true;
      return known;
    }
    if (records.size >= options.maxPeers) makeRoom();
    const from = local === undefined ? {} : { local };
    const record = createRecord(makePeer(key, { address, port, ...from }), { address, port, ...from }, deps.random);
    records.set(key, record);
    return record;
  }

  return {
    at,
    of: ({ key, address, zone, port, local }) =>
      records.get(key) ?? at(zone === undefined ? address : `${address}%${zone}`, port, local),
    get size() {
      return records.size;
    },
  };
}

function makePeer(key: string, to: DatagramPeer): Peer {
  const percent = to.address.indexOf("%");
  if (percent < 0) return { key, transport: "udp", ...to };
  return { key, transport: "udp", ...to, address: to.address.slice(0, percent), zone: to.address.slice(percent + 1) };
}

function createRecord(peer: Peer, to: PeerRecord["to"], random: () => number): PeerRecord {
  return {
    peer,
    to,
    recent: new Map(),
    outstanding: new Map(),
    confirmableCount: 0,
    waiting: new Set(),
    nextMessageId: Math.floor(random() * MESSAGE_ID_SPACE), // RFC 7252 section 4.4
    changes: 0,
    isInUse: false,
  };
}

/**
 * The next message id for this peer that no outstanding message has (RFC 7252 section 4.4); null when all are taken.
 */
export function takeMessageId(record: PeerRecord): number | null {
  if (record.outstanding.size >= MESSAGE_ID_SPACE) return null;
  let messageId = record.nextMessageId;
  while (record.outstanding.has(messageId)) messageId = (messageId + 1) % MESSAGE_ID_SPACE;
  record.nextMessageId = (messageId + 1) % MESSAGE_ID_SPACE;
  return messageId;
}
