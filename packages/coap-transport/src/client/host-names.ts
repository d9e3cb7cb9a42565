import { type Clock, jittered, type Logger, type Random, type Timer } from "@tributary/runtime";
import { TransportError } from "../errors.js";
import { raceAddresses } from "./address-race.js";

/** Resolves a name to its addresses, in the order in which to try them (RFC 6724 section 6). */
export type ResolveName = (host: string) => Promise<readonly string[]>;

/** The parts of a URI that the address depends on: servers may listen on different addresses by different transports. */
export interface NamedTarget {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
}

export interface HostNamesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly resolve: ResolveName;
  /** Resolves when there is a response from `address`; rejects when there is none. Ends soon after `signal`. */
  readonly probe: (target: NamedTarget, address: string, signal: AbortSignal) => Promise<void>;
}

/** Called when a name has moved to another address during a conversation. */
export type MovedListener = (error: TransportError) => void;

interface Entry {
  readonly target: NamedTarget;
  /** The address in use; null: none that worked. */
  current: string | null;
  /** The latest list of the resolver. */
  listed: readonly string[];
  /** When each address was listed last. */
  readonly seenAtMs: Map<string, number>;
  /** Addresses that the name was moved away from, and when. */
  readonly leftAtMs: Map<string, number>;
  /** Where nothing listened lately: tried last. */
  readonly failedAtMs: Map<string, number>;
  /** Lists in a row without the address in use. */
  absences: number;
  /** Until then the resolver is known to give a part of its addresses each time. */
  rotatesUntilMs: number;
  choosing: Promise<string> | null;
  usedAtMs: number;
  readonly watchers: Set<{ readonly address: string; readonly listener: MovedListener }>;
  timer: Timer | null;
}

/** Longest time until a name in use is resolved again, ms; at least half of it. The TTL is not known here. */
const LOOK_AGAIN_MS = 20_000;
/** Longest time until a list without the address in use is confirmed, ms. */
const CONFIRM_MS = 3000;
/** Lists in a row without the address in use that make a move. */
const ABSENCES_UNTIL_MOVED = 3;
/** Time after which an unused name is removed, ms. */
const UNUSED_MS = 300_000;
/** Time for which an address counts as one of a name after it was listed last, ms. */
const MEMORY_MS = 3_600_000;
/** Time for which an address where nothing listened is tried last, ms. */
const FAILURE_MS = 60_000;
/** Addresses of one name that are tried. */
const MAX_ADDRESSES = 16;
/** Names remembered. */
const MAX_NAMES = 1024;

/**
 * Decides which of the addresses of a name is talked to: one at a time, for all conversations, until it fails or the name
 * is moved. Addresses are tried in the resolver's order, families taking turns (RFC 8305 section 4).
 */
export class HostNames {
  readonly #deps: HostNamesDeps;
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;

  constructor(deps: HostNamesDeps) {
    this.#deps = deps;
  }

  /** Names remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** @throws {TransportError} UNREACHABLE when the name has no address, or nothing listens at any. */
  async addressOf(target: NamedTarget): Promise<string> {
    const entry = this.#entryOf(target);
    entry.usedAtMs = this.#deps.clock.nowMs();
    return entry.current ?? (await this.#choose(entry));
  }

  /** A request to `address` failed: the next one looks for an address that works. `isRefused`: nothing listens there. */
  failed(target: NamedTarget, address: string, isRefused: boolean): void {
    const entry = this.#entries.get(keyOf(target));
    if (entry === undefined) return;
    if (isRefused) entry.failedAtMs.set(address, this.#deps.clock.nowMs());
    if (entry.current === address) entry.current = null;
  }

  /** Calls `listener` once when the name is no longer at `address`. Returns the unsubscribe function. */
  watch(target: NamedTarget, address: string, listener: MovedListener): () => void {
    const { watchers } = this.#entryOf(target);
    const watcher = { address, listener };
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#entries.values()) timer?.cancel();
    this.#entries.clear();
  }

  #entryOf(target: NamedTarget): Entry {
    const key = keyOf(target);
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    if (this.#entries.size >= MAX_NAMES) this.#forgetOne();
    const { scheme, host, port } = target;
    const entry: Entry = {
      target: { scheme, host, port },
      current: null,
      listed: [],
      seenAtMs: new Map(),
      leftAtMs: new Map(),
      failedAtMs: new Map(),
      absences: 0,
      rotatesUntilMs: 0,
      choosing: null,
      usedAtMs: this.#deps.clock.nowMs(),
      watchers: new Set(),
      timer: null,
    };
    this.#entries.set(key, entry);
    this.#lookLater(entry);
    return entry;
  }

  #forgetOne(): void {
    for (const [key, { watchers, timer }] of this.#entries) {
      if (watchers.size > 0) continue;
      timer?.cancel();
      this.#entries.delete(key);
      return;
    }
  }

  /** Chooses once at a time: concurrent calls get the same result. */
  #choose(entry: Entry): Promise<string> {
    entry.choosing ??= this.#resolveAndRace(entry).finally(() => {
      entry.choosing = null;
    });
    return entry.choosing;
  }

  async #resolveAndRace(entry: Entry): Promise<string> {
    const { host } = entry.target;
    const listed = await this.#resolve(entry).catch((cause: unknown) => {
      throw new TransportError("UNREACHABLE", `the name ${host} could not be resolved`, { cause });
    });
    if (listed.length === 0) throw new TransportError("UNREACHABLE", `the name ${host} has no address`);
    const chosen = listed.length === 1 ? (listed[0] as string) : await this.#race(entry, listed);
    this.#use(entry, chosen);
    return chosen;
  }

  #race(entry: Entry, addresses: readonly string[]): Promise<string> {
    const { clock, probe } = this.#deps;
    const ordered = this.#inOrder(entry, addresses);
    return raceAddresses(clock, ordered, (address, signal) => probe(entry.target, address, signal));
  }

  /** Those that failed lately last; what the same host is talked to at otherwise first. */
  #inOrder(entry: Entry, addresses: readonly string[]): readonly string[] {
    const nowMs = this.#deps.clock.nowMs();
    const isBad = (address: string): boolean =>
      nowMs - (entry.failedAtMs.get(address) ?? Number.NEGATIVE_INFINITY) < FAILURE_MS;
    const others = [...this.#entries.values()].filter(({ target }) => target.host === entry.target.host);
    const isPreferred = (address: string): boolean => others.some(({ current }) => current === address);
    const rank = (address: string): number => (isBad(address) ? 2 : isPreferred(address) ? 0 : 1);
    return [...alternating(addresses)].sort((a, b) => rank(a) - rank(b));
  }

  #use(entry: Entry, address: string): void {
    entry.current = address;
    entry.absences = 0;
    entry.failedAtMs.delete(address);
    for (const watcher of [...entry.watchers]) {
      if (watcher.address === address) continue;
      entry.watchers.delete(watcher);
      const { host } = entry.target;
      this.#deps.logger.info("a name has moved", { host, from: watcher.address, to: address });
      watcher.listener(new TransportError("UNREACHABLE", `${host} has moved from ${watcher.address} to ${address}`));
    }
  }

  async #resolve(entry: Entry): Promise<readonly string[]> {
    const resolved = await this.#deps.resolve(entry.target.host);
    const nowMs = this.#deps.clock.nowMs();
    const listed = [...new Set(resolved)].slice(0, MAX_ADDRESSES);
    for (const memory of [entry.seenAtMs, entry.leftAtMs])
      for (const [address, atMs] of memory) if (nowMs - atMs > MEMORY_MS) memory.delete(address);
    for (const address of listed) {
      entry.seenAtMs.set(address, nowMs);
      // An address that is back: the resolver returns a part of its addresses each time.
      if (entry.leftAtMs.has(address) && address !== entry.current) entry.rotatesUntilMs = nowMs + MEMORY_MS;
    }
    entry.listed = listed;
    return listed;
  }

  #lookLater(entry: Entry): void {
    if (this.#isClosed) return;
    const { clock, random } = this.#deps;
    const atMostMs = entry.absences > 0 ? CONFIRM_MS : LOOK_AGAIN_MS;
    entry.timer = clock.setTimer(jittered(random, atMostMs, 0.5, 1), () => void this.#look(entry));
  }

  /** Never rejects. */
  async #look(entry: Entry): Promise<void> {
    const key = keyOf(entry.target);
    if (entry.watchers.size === 0 && this.#deps.clock.nowMs() - entry.usedAtMs >= UNUSED_MS) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      return;
    }
    try {
      if (entry.current !== null) await this.#lookForMove(entry, entry.current);
    } catch (error) {
      // Without a response of the resolver nothing is known about the name.
      this.#deps.logger.debug("a name cannot be resolved again", { host: entry.target.host, error });
    }
    if (this.#entries.get(key) === entry) this.#lookLater(entry);
  }

  async #lookForMove(entry: Entry, current: string): Promise<void> {
    const listed = await this.#resolve(entry);
    const isThere = listed.includes(current) || (this.#rotates(entry) && entry.seenAtMs.has(current));
    entry.absences = isThere || listed.length === 0 ? 0 : entry.absences + 1;
    if (entry.absences < ABSENCES_UNTIL_MOVED || entry.current !== current || entry.choosing !== null) return;
    // A working address is not given up for one where nothing responds.
    const next = await this.#race(entry, listed);
    if (entry.current !== current) return;
    entry.leftAtMs.set(current, this.#deps.clock.nowMs());
    this.#use(entry, next);
  }

  #rotates({ rotatesUntilMs }: Entry): boolean {
    return this.#deps.clock.nowMs() < rotatesUntilMs;
  }
}

function keyOf({ scheme, host, port }: NamedTarget): string {
  return `${scheme} ${host} ${port}`;
}

/** One address of each family in turn, beginning with the family of the first (RFC 8305 section 4). Pure. */
export function alternating(addresses: readonly string[]): readonly string[] {
  const isIpv6 = (address: string): boolean => address.includes(":");
  const first = addresses[0];
  if (first === undefined) return [];
  const same = addresses.filter((address) => isIpv6(address) === isIpv6(first));
  const other = addresses.filter((address) => isIpv6(address) !== isIpv6(first));
  return same.flatMap((address, at) => [address, ...other.slice(at, at + 1)]).concat(other.slice(same.length));
}
