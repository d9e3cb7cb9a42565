import { addCount, type Environment, type Timer } from "@tributary/runtime";
import HyperDht from "hyperdht";
import messages from "hyperdht/lib/messages.js";
import { ANNOUNCEMENT_LIFETIME_MS } from "../constants.js";
import { GlobalLookupError } from "../errors.js";
import { RequestBudget, type RequestRate } from "../finding/request-budget.js";
import type { AnnouncerKey } from "../record/announcer-key.js";
import type { Pool, PoolStatus } from "../types.js";
import { RecordQuota } from "./record-quota.js";

/** Collaborators of `openHyperdhtPool`. */
export interface HyperdhtPoolDeps {
  readonly env: Environment;
  readonly key: AnnouncerKey;
}

/** Settings of `openHyperdhtPool`. */
export interface HyperdhtPoolOptions {
  /** IPv4 address and port of this member, by which the others know it. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Members by which this one joins; itself among them is passed over. */
  readonly bootstrap: readonly { readonly host: string; readonly port: number }[];
  /** Announcements that this member keeps for others. Default 200 000; one peer has at most half of them. */
  readonly records?: number;
  /** Requests of one address. Default 2000 at once, 1000 a second. */
  readonly rate?: RequestRate;
}

const DEFAULT_RECORDS = 200_000;
const DEFAULT_RATE: RequestRate = { burst: 2000, perSecond: 1000 };
const COUNTED_PEERS = 4096;
/** Time that the pool has for an announcement, ms: a member that died costs a search of the pool up to 6 s. */
const WRITE_TIMEOUT_MS = 20_000;
/** Commands of hyperdht. */
const COMMAND = { LOOKUP: 3, ANNOUNCE: 4, MUTABLE_GET: 7 } as const;
/** Any sequence, as hyperdht encodes it. */
const ANY_SEQUENCE = Buffer.from([0]);
/** Error of an announcement that is not kept; other than those of hyperdht. */
const REFUSED_ERROR = 64;
const NOBODY = "nobody of the pool responds";

/** Joins a pool of hyperdht. @throws {GlobalLookupError} `POOL_BIND_FAILED` */
export async function openHyperdhtPool(deps: HyperdhtPoolDeps, options: HyperdhtPoolOptions): Promise<Pool> {
  const { host, port } = options.listen;
  const guard = new RequestGuard(deps.env, options);
  const bootstrap = options.bootstrap.filter((one) => one.host !== host || one.port !== port);
  // Not `new`: that would make a member that keeps nothing, which small pools cannot afford, and one with public members by default.
  const dht = GuardedDht.bootstrapper(port, host, {
    ...{ host, bootstrap, maxAge: ANNOUNCEMENT_LIFETIME_MS },
    maxSize: options.records ?? DEFAULT_RECORDS,
  });
  dht.guard = guard;
  try {
    await dht.bind();
  } catch (cause) {
    await dht.destroy({ force: true }).catch(() => {});
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlobalLookupError("POOL_BIND_FAILED", `cannot listen on ${host}:${port} for the pool: ${reason}`, {
      cause,
    });
  }
  return new HyperdhtPool(deps, dht, guard);
}

class GuardedDht extends HyperDht {
  guard: RequestGuard | null = null;

  override onrequest(request: HyperDht.PoolRequest): boolean {
    const refusal = this.guard?.refusal(request);
    if (refusal === undefined) return super.onrequest(request);
    // Who asks too often may have a forged source, and gets no response. An announcement has a token that proves it.
    if (refusal === "records" && request.token !== null) request.error(REFUSED_ERROR);
    return true;
  }

  /** Returns what this member itself would respond; null: it has nothing. */
  ownReply(command: number, target: Uint8Array, value: Uint8Array | null = null): Uint8Array | null {
    let replied: Uint8Array | null = null;
    const reply = (bytes: Uint8Array | null) => {
      replied = bytes;
    };
    const from = { host: "", port: 0 };
    super.onrequest({ command, target, value, token: null, from, reply, error: () => {} });
    return replied;
  }
}

/** Limits what other members may ask of this one. */
class RequestGuard {
  readonly refused = new Map<string, number>();
  readonly #env: Environment;
  readonly #rate: RequestRate;
  readonly #budget: RequestBudget;
  readonly #quota: RecordQuota;

  constructor(env: Environment, { records = DEFAULT_RECORDS, rate = DEFAULT_RATE }: HyperdhtPoolOptions) {
    this.#env = env;
    this.#rate = rate;
    this.#budget = new RequestBudget(env.clock, { maxHosts: COUNTED_PEERS });
    const lifetimeMs = ANNOUNCEMENT_LIFETIME_MS;
    const bounds = { perPeer: Math.ceil(records / 2), peers: COUNTED_PEERS, lifetimeMs };
    this.#quota = new RecordQuota(bounds, env.clock.nowMs());
  }

  /** Returns why a request is refused, or undefined. */
  refusal({ command, target, from }: HyperDht.PoolRequest): "rate" | "records" | undefined {
    if (!this.#budget.take(from.host, this.#rate)) return this.#refuse("rate");
    if (command !== COMMAND.ANNOUNCE || target === null) return undefined;
    const key = Buffer.from(target).toString("base64");
    return this.#quota.take(from.host, key, this.#env.clock.nowMs()) ? undefined : this.#refuse("records");
  }

  close(): void {
    this.#budget.clear();
  }

  #refuse<C extends string>(cause: C): C {
    if (!this.refused.has(cause)) this.#env.logger.warn("requests of the pool are refused", { cause });
    addCount(this.refused, cause);
    return cause;
  }
}

class HyperdhtPool implements Pool {
  readonly #env: Environment;
  readonly #dht: GuardedDht;
  readonly #guard: RequestGuard;
  readonly #key: HyperDht.SigningKeyPair;
  #awayReason: string | undefined;
  #isClosed = false;

  constructor({ env, key }: HyperdhtPoolDeps, dht: GuardedDht, guard: RequestGuard) {
    this.#env = env;
    this.#dht = dht;
    this.#guard = guard;
    this.#key = { publicKey: Buffer.from(key.publicKey), sign: (message) => Buffer.from(key.sign(message)) };
  }

  async announce(key: Uint8Array): Promise<void> {
    await this.#write(() => this.#dht.announce(Buffer.from(key), this.#key, []).finished());
  }

  async withdraw(key: Uint8Array): Promise<void> {
    await this.#write(() => this.#dht.unannounce(Buffer.from(key), this.#key));
  }

  async publish(record: Uint8Array, sequence: number): Promise<void> {
    await this.#write(() => this.#dht.mutablePut(this.#key, Buffer.from(record), { seq: sequence }));
  }

  async *find(key: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array> {
    this.#requireOpen();
    const target = Buffer.from(key);
    // Members ask each other only: what this one keeps for others it has to look up itself.
    const own = this.#dht.ownReply(COMMAND.LOOKUP, target);
    if (own !== null) for (const { publicKey } of messages.lookupRawReply.decode(whole(own)).peers) yield publicKey;
    const query = this.#dht.lookup(target);
    const stop = () => query.destroy();
    signal.addEventListener("abort", stop, { once: true });
    try {
      for await (const { peers } of query) for (const { publicKey } of peers) yield publicKey;
    } catch (cause) {
      if (!signal.aborted) throw this.#away(cause);
    } finally {
      signal.removeEventListener("abort", stop);
    }
    if (query.successes > 0) this.#awayReason = undefined;
    else if (!signal.aborted) throw this.#away();
  }

  async readRecord(announcer: Uint8Array, signal: AbortSignal): Promise<Uint8Array | null> {
    this.#requireOpen();
    const key = Buffer.from(announcer);
    const own = this.#dht.ownReply(COMMAND.MUTABLE_GET, HyperDht.hash(key), ANY_SEQUENCE);
    if (own !== null) return messages.mutableGetResponse.decode(whole(own)).value;
    const query = this.#dht.mutableGet(key, { latest: false });
    const found = await Promise.race([query, aborted(signal)]).catch((cause: unknown) => {
      throw this.#away(cause);
    });
    return found?.value ?? null;
  }

  status(): PoolStatus {
    const members = this.#dht.nodes.length;
    const awayReason = this.#awayReason ?? (members === 0 ? "no other member is known" : undefined);
    return {
      members,
      ...(awayReason === undefined ? {} : { awayReason }),
      refused: this.#guard.refused,
      requests: this.#dht.stats.requests.total,
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#guard.close();
    await this.#dht.destroy({ force: true });
  }

  async #write(perform: () => Promise<unknown>): Promise<void> {
    this.#requireOpen();
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = this.#env.clock.setTimer(WRITE_TIMEOUT_MS, () => reject(new Error("it took too long")));
    });
    try {
      await Promise.race([perform(), late]);
      this.#awayReason = undefined;
    } catch (cause) {
      throw this.#away(cause);
    } finally {
      timer?.cancel();
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new GlobalLookupError("POOL_AWAY", "this node has left the pool");
  }

  #away(cause?: unknown): GlobalLookupError {
    this.#awayReason = NOBODY;
    return new GlobalLookupError("POOL_AWAY", NOBODY, { cause });
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
}

function whole(buffer: Uint8Array) {
  return { start: 0, end: buffer.length, buffer };
}
