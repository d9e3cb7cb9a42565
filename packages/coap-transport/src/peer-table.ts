import type { PeerRecord } from "./peer-record.js";
import type { Peer } from "./types.js";

/** The peers of one socket, bounded: those idle and not heard of lately are forgotten first. */
export interface PeerTable {
  /** The record of the peer at `address` (zone included) and `port`, made when there is none. */
  at(address: string, port: number): PeerRecord;
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

  function at(address: string, port: number): PeerRecord {
    const key = `udp/${address}/${port}`;
    const known = records.get(key);
    if (known !== undefined) {
      known.isInUse = true;
      return known;
    }
    if (records.size >= options.maxPeers) makeRoom();
    const record = createRecord(makePeer(key, address, port), { address, port }, deps.random);
    records.set(key, record);
    return record;
  }

  return {
    at,
    of: (peer) => at(peer.zone === undefined ? peer.address : `${peer.address}%${peer.zone}`, peer.port),
    get size() {
      return records.size;
    },
  };
}

function makePeer(key: string, address: string, port: number): Peer {
  const percent = address.indexOf("%");
  if (percent < 0) return { key, transport: "udp", address, port };
  return { key, transport: "udp", address: address.slice(0, percent), zone: address.slice(percent + 1), port };
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
