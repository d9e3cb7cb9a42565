import type { Random } from "@tributary/runtime";
import type { DatagramPeer, Peer } from "../types.js";
import type { CongestionControl } from "./congestion-control.js";
import type { PeerRecord } from "./peer-record.js";

const MESSAGE_ID_SPACE = 65_536;
/** Records examined for each new peer, so that its cost is constant; the table may exceed its limit when all of them are busy. */
const MAX_LOOKS = 64;

export interface PeerTableOptions {
  readonly maxPeers: number;
  /** Returns the congestion control of a new peer; null for one message at a time, which is the default. */
  readonly congestionFor?: (peer: Peer) => CongestionControl | null;
}

/** The peers of one socket. When it is full, idle peers that were not received from recently are removed. */
export class PeerTable {
  readonly #random: Random;
  readonly #maxPeers: number;
  readonly #congestionFor: (peer: Peer) => CongestionControl | null;
  readonly #records = new Map<string, PeerRecord>();

  constructor(deps: { random: Random }, options: PeerTableOptions) {
    this.#random = deps.random;
    this.#maxPeers = options.maxPeers;
    this.#congestionFor = options.congestionFor ?? (() => null);
  }

  get size(): number {
    return this.#records.size;
  }

  /** Returns the record of the peer at `address` (with its zone) and `port` that sends to `local`; creates it if needed. */
  at(address: string, port: number, local?: string): PeerRecord {
    const bare = `udp/${address}/${port}`;
    const key = local === undefined ? bare : `${bare}/${local}`;
    const known = this.#records.get(key) ?? (local === undefined ? undefined : this.#settled(bare, local));
    if (known !== undefined) {
      known.isInUse = true;
      return known;
    }
    if (this.#records.size >= this.#maxPeers) this.#makeRoom();
    const to = local === undefined ? { address, port } : { address, port, local };
    const peer = makePeer(key, to);
    const record = createRecord(peer, { to, congestion: this.#congestionFor(peer) }, this.#random);
    this.#records.set(key, record);
    return record;
  }

  /** Returns the record of a peer, which may have been removed since. */
  of({ key, address, zone, port, local }: Peer): PeerRecord {
    return this.#records.get(key) ?? this.at(zone === undefined ? address : `${address}%${zone}`, port, local);
  }

  /** Second chance: a record that was in use since the last round stays for another one. */
  #makeRoom(): void {
    let looks = MAX_LOOKS;
    for (const [key, record] of this.#records) {
      if (this.#records.size < this.#maxPeers || looks-- === 0) return;
      this.#records.delete(key);
      if (!record.isInUse && record.outstanding.size === 0 && record.waiting.size === 0) continue;
      record.isInUse = false;
      this.#records.set(key, record);
    }
  }

  /** A peer first seen at the wildcard socket, or by multicast, that now sends to a known address. */
  #settled(bare: string, local: string): PeerRecord | undefined {
    const record = this.#records.get(bare);
    if (record === undefined || (record.to.local ?? local) !== local) return undefined;
    if (record.to.local === undefined) record.to = { ...record.to, local };
    return record;
  }
}

function makePeer(key: string, to: DatagramPeer): Peer {
  const percent = to.address.indexOf("%");
  if (percent < 0) return { key, transport: "udp", ...to };
  return { key, transport: "udp", ...to, address: to.address.slice(0, percent), zone: to.address.slice(percent + 1) };
}

function createRecord(
  peer: Peer,
  { to, congestion }: Pick<PeerRecord, "to" | "congestion">,
  random: Random,
): PeerRecord {
  return {
    peer,
    to,
    recent: new Map(),
    outstanding: new Map(),
    inTransit: new Set(),
    waiting: new Set(),
    transmissions: 0,
    congestion,
    nextMessageId: Math.floor(random() * MESSAGE_ID_SPACE), // RFC 7252 section 4.4
    changes: 0,
    isInUse: false,
  };
}

/** Returns the next message ID that no outstanding message to the peer has (RFC 7252 section 4.4); null when all are in use. */
export function takeMessageId(record: PeerRecord): number | null {
  if (record.outstanding.size >= MESSAGE_ID_SPACE) return null;
  let messageId = record.nextMessageId;
  while (record.outstanding.has(messageId)) messageId = (messageId + 1) % MESSAGE_ID_SPACE;
  record.nextMessageId = (messageId + 1) % MESSAGE_ID_SPACE;
  return messageId;
}
