import { type CoapClient, TransportError } from "@tributary/coap-transport";
import type { Environment, Timer } from "@tributary/runtime";
import { PROBE_INTERVAL_MS } from "./constants.js";
import type { ForwardingOutcome, ForwardingPeer, PeerStatus } from "./types.js";

interface PeerRecord {
  readonly peer: ForwardingPeer;
  readonly outcomes: Record<ForwardingOutcome, number>;
  /** Requests in progress. */
  running: number;
  /** Timer of the next ping, set while the peer is down. */
  probe: Timer | null;
  isUp: boolean;
}

/**
 * Remembers which peers did not respond, so that the next request tries others first. Peers are found to be down by requests; only
 * those are pinged, until they respond.
 */
export class PeerHealth {
  readonly #client: CoapClient;
  readonly #env: Environment;
  readonly #probeTimeoutMs: number;
  readonly #records: ReadonlyMap<string, PeerRecord>;
  #isClosed = false;

  constructor(
    deps: { readonly client: CoapClient; readonly env: Environment },
    options: { readonly peers: readonly ForwardingPeer[]; readonly probeTimeoutMs: number },
  ) {
    this.#client = deps.client;
    this.#env = deps.env;
    this.#probeTimeoutMs = options.probeTimeoutMs;
    this.#records = new Map(options.peers.map((peer) => [peer.name, newRecord(peer)]));
  }

  isUp({ name }: ForwardingPeer): boolean {
    return this.#records.get(name)?.isUp ?? false;
  }

  /** Requests in progress at a peer. */
  runningAt({ name }: ForwardingPeer): number {
    return this.#records.get(name)?.running ?? 0;
  }

  /** Runs a request at `peer` and counts it as in progress. */
  async during<T>({ name }: ForwardingPeer, send: () => Promise<T>): Promise<T> {
    const record = this.#records.get(name);
    if (record === undefined) return send();
    record.running++;
    try {
      return await send();
    } finally {
      record.running--;
    }
  }

  /** Sorts peers: the closest first, those that did not respond last time at the end. */
  inOrder(peers: readonly ForwardingPeer[]): ForwardingPeer[] {
    return [...peers.filter((peer) => this.isUp(peer)), ...peers.filter((peer) => !this.isUp(peer))];
  }

  /** Records the outcome of a request. */
  note({ name }: ForwardingPeer, outcome: ForwardingOutcome): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    record.outcomes[outcome]++;
    if (outcome === "answered") this.#setUp(record);
    else if (outcome !== "failed") this.#setDown(record, outcome);
  }

  status(): PeerStatus[] {
    return [...this.#records.values()].map(({ peer: { name, uri }, isUp, outcomes }) => ({
      name,
      uri,
      isUp,
      outcomes: { ...outcomes },
    }));
  }

  close(): void {
    this.#isClosed = true;
    for (const record of this.#records.values()) record.probe?.cancel();
  }

  #setUp(record: PeerRecord): void {
    record.probe?.cancel();
    record.probe = null;
    if (record.isUp) return;
    record.isUp = true;
    this.#env.logger.info("a peer answers again", { peer: record.peer.name });
  }

  #setDown(record: PeerRecord, outcome: ForwardingOutcome): void {
    if (!record.isUp || this.#isClosed) return;
    record.isUp = false;
    this.#env.logger.warn("a peer does not answer", { peer: record.peer.name, uri: record.peer.uri, outcome });
    this.#probeLater(record);
  }

  #probeLater(record: PeerRecord): void {
    record.probe = this.#env.clock.setTimer(PROBE_INTERVAL_MS, () => {
      record.probe = null;
      void this.#probe(record);
    });
  }

  /** Never rejects. */
  async #probe(record: PeerRecord): Promise<void> {
    const hasResponded = await this.#client
      .ping(record.peer.uri, { timeoutMs: this.#probeTimeoutMs })
      .catch((error) => {
        const isExpected = error instanceof TransportError;
        if (!isExpected) this.#env.logger.error("a peer cannot be pinged", { peer: record.peer.name, error });
        return false;
      });
    if (this.#isClosed || record.isUp) return;
    if (hasResponded) this.#setUp(record);
    else if (record.probe === null) this.#probeLater(record);
  }
}

function newRecord(peer: ForwardingPeer): PeerRecord {
  return {
    peer,
    outcomes: { answered: 0, timeout: 0, unreachable: 0, failed: 0 },
    running: 0,
    probe: null,
    isUp: true,
  };
}
