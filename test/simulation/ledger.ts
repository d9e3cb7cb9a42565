import { CODE, METHOD, type RequestHandler, type ServerRequest, type ServerResponse } from "@tributary/coap-transport";
import { parseLinkFormat } from "@tributary/link-model";
import type { StoredRegistration } from "@tributary/resource-directory";

/** `name="value"` of a link or registration; null: no value. */
export type Pair = readonly [name: string, value: string | null];

export interface LedgerLink {
  readonly target: string;
  readonly attributes: readonly Pair[];
}

/** A registration as an RD acknowledged it. Times in ms of the simulated clock. */
export interface LedgerRecord {
  readonly rd: string;
  readonly href: string;
  readonly ep: string;
  readonly d: string | undefined;
  readonly base: string;
  readonly isBaseExplicit: boolean;
  readonly ltMs: number;
  readonly attributes: readonly Pair[];
  readonly links: readonly LedgerLink[];
  readonly renewedAtMs: number;
}

/** From a renewal to its acknowledgement, at most: what it takes to keep it. */
const WRITING_MS = 50;

/** What a registration is known by in the merged directory (design section 1): endpoint name and sector. */
export function keyOf(ep: string, d: string | undefined): string {
  return d === undefined ? ep : `${ep} @${d}`;
}

/**
 * What every RD acknowledged, read at its door: the requests as its handler got them and the codes that it answered with.
 * Independent of how the RD keeps registrations. Retransmissions and losses on the way of an answer do not matter here.
 */
export class Ledger {
  readonly #records = new Map<string, Map<string, LedgerRecord>>();
  /** Latest moment up to which each (RD, href, key) was ever promised. */
  readonly #latestEnd = new Map<string, number>();
  readonly #nowMs: () => number;
  readonly #wallMs: (rd: string) => number;
  readonly #isShort: (rd: string) => boolean;
  readonly #violation: (text: string) => void;
  readonly #note: (text: string) => void;

  constructor(deps: {
    nowMs: () => number;
    /** Wall clock of an RD. */
    wallMs?: (rd: string) => number;
    /** Whether an RD may have no memory for more, and say so (5.03). */
    isShort?: (rd: string) => boolean;
    violation: (text: string) => void;
    note: (text: string) => void;
  }) {
    this.#nowMs = deps.nowMs;
    this.#wallMs = deps.wallMs ?? deps.nowMs;
    this.#isShort = deps.isShort ?? (() => false);
    this.#violation = deps.violation;
    this.#note = deps.note;
  }

  /** All that `rd` acknowledged and nobody removed, ended or not. */
  records(rd: string): LedgerRecord[] {
    return [...(this.#records.get(rd)?.values() ?? [])];
  }

  /**
   * The RD starts with what it kept. All that it acknowledged has to be there; what was kept and never acknowledged, because
   * it crashed in between, holds as well.
   */
  restart(rd: string, kept: Iterable<StoredRegistration>): void {
    const stored = new Map([...kept].map((one) => [`/reg/${one.id}`, one]));
    for (const record of this.records(rd)) {
      const found = stored.get(record.href);
      const isWhole = found?.ep === record.ep && found.d === record.d;
      const isLive = endOf(record) > this.#nowMs();
      if (isLive && (!isWhole || found.renewedAtWallMs < this.#wallOf(rd, record.renewedAtMs) - WRITING_MS))
        this.#violation(`${rd} lost ${keyOf(record.ep, record.d)} at ${record.href}, which it had acknowledged`);
      if (!isWhole) this.#records.get(rd)?.delete(record.href);
    }
    for (const [href, one] of stored) {
      const known = this.#records.get(rd)?.get(href);
      const renewedAtMs = one.renewedAtWallMs - this.#wallOf(rd, 0);
      if (known === undefined || known.renewedAtMs < renewedAtMs - WRITING_MS)
        this.#keep(recordOf(rd, href, one, renewedAtMs), "kept");
    }
  }

  #wallOf(rd: string, atMs: number): number {
    return this.#wallMs(rd) - this.#nowMs() + atMs;
  }

  /** The RD crashed: its store is in memory. */
  lose(rd: string): void {
    this.#records.delete(rd);
  }

  /** The latest moment up to which `rd` ever promised this registration, or undefined: it never did. */
  latestEndMs(rd: string, href: string, key: string): number | undefined {
    return this.#latestEnd.get(`${rd} ${href} ${key}`);
  }

  /** Put the ledger between the transport and an RD, for as long as `isAlive`. */
  watch(rd: string, handler: RequestHandler, isAlive: () => boolean): RequestHandler {
    const see = (request: ServerRequest, response: ServerResponse): ServerResponse => {
      if (isAlive()) this.#see(rd, request, response);
      return response;
    };
    const watched = (request: ServerRequest) => {
      const response = handler(request);
      return response instanceof Promise ? response.then((settled) => see(request, settled)) : see(request, response);
    };
    return Object.assign(watched, { evaluatesPreconditions: handler.evaluatesPreconditions === true });
  }

  #see(rd: string, request: ServerRequest, response: ServerResponse): void {
    const [first] = request.path;
    if (first === "rd" && request.method === METHOD.POST && response.code === CODE.CREATED) {
      this.#registered(rd, request, `/${(response.locationPath ?? []).join("/")}`);
    } else if (first === "reg" && request.method === METHOD.POST) this.#updated(rd, request, response);
    else if (first === "reg" && request.method === METHOD.DELETE) this.#removed(rd, request, response);
    else if (first === "rd" && this.#isLackOfMemory(rd, response)) this.#note(`${rd} has no memory for a registration`);
    else if (first === "rd") this.#violation(`${rd} refused a registration with code ${response.code}`);
  }

  #isLackOfMemory(rd: string, { code }: ServerResponse): boolean {
    return code === CODE.UNAVAILABLE && this.#isShort(rd);
  }

  #registered(rd: string, request: ServerRequest, href: string): void {
    const query = readQuery(request.query);
    const base = query.base ?? implicitBase(request);
    const record: LedgerRecord = {
      rd,
      href,
      ep: query.ep ?? "",
      d: query.d,
      base,
      isBaseExplicit: query.base !== undefined,
      ltMs: (query.ltS ?? 90_000) * 1000,
      attributes: query.attributes,
      links: readLinks(request.payload, base),
      renewedAtMs: this.#nowMs(),
    };
    const key = keyOf(record.ep, record.d);
    for (const other of this.records(rd)) {
      if (keyOf(other.ep, other.d) !== key || other.href === href) continue;
      if (endOf(other) > this.#nowMs()) this.#violation(`${rd} gave ${key} ${href} although it holds ${other.href}`);
      this.#records.get(rd)?.delete(other.href);
    }
    this.#keep(record, "registered");
  }

  #updated(rd: string, request: ServerRequest, response: ServerResponse): void {
    const href = `/${request.path.join("/")}`;
    const before = this.#records.get(rd)?.get(href);
    if (response.code !== CODE.CHANGED) {
      const isLive = before !== undefined && endOf(before) > this.#nowMs();
      // One that was left on disk at the start needs room to be shown again.
      if (isLive && !this.#isLackOfMemory(rd, response))
        this.#violation(`${rd} refused to renew ${href} with code ${response.code}`);
      return;
    }
    if (before === undefined) {
      this.#violation(`${rd} renewed ${href}, which it never acknowledged`);
      return;
    }
    const query = readQuery(request.query);
    const given = new Set(query.attributes.map(([name]) => name));
    const base = query.base ?? (before.isBaseExplicit ? before.base : implicitBase(request));
    const attributes = [...before.attributes.filter(([name]) => !given.has(name)), ...query.attributes];
    const ltMs = query.ltS === undefined ? before.ltMs : query.ltS * 1000;
    this.#keep({ ...before, base, attributes, ltMs, renewedAtMs: this.#nowMs() }, "renewed");
  }

  #removed(rd: string, request: ServerRequest, response: ServerResponse): void {
    const href = `/${request.path.join("/")}`;
    const wasHeld = this.#records.get(rd)?.delete(href) ?? false;
    if (response.code === CODE.DELETED && !wasHeld)
      this.#violation(`${rd} removed ${href}, which it never acknowledged`);
    if (response.code === CODE.DELETED) this.#note(`${rd} removed ${href}`);
  }

  #keep(record: LedgerRecord, what: string): void {
    const { rd, href, ep, d } = record;
    const records = this.#records.get(rd) ?? new Map<string, LedgerRecord>();
    this.#records.set(rd, records.set(href, record));
    const place = `${rd} ${href} ${keyOf(ep, d)}`;
    this.#latestEnd.set(place, Math.max(this.#latestEnd.get(place) ?? 0, endOf(record)));
    this.#note(`${rd} ${what} ${keyOf(ep, d)} at ${href} for ${record.ltMs / 1000} s`);
  }
}

function recordOf(rd: string, href: string, stored: StoredRegistration, renewedAtMs: number): LedgerRecord {
  const { ep, d, base, isBaseExplicit, ltS, attributes, links } = stored;
  const payload = new TextEncoder().encode(links);
  return {
    rd,
    href,
    ep,
    d,
    base,
    isBaseExplicit,
    ltMs: ltS * 1000,
    attributes,
    links: readLinks(payload, base),
    renewedAtMs,
  };
}

/** When a record ends unless renewed. */
export function endOf(record: LedgerRecord): number {
  return record.renewedAtMs + record.ltMs;
}

function readQuery(items: readonly string[]) {
  const found: { ep?: string; d?: string; ltS?: number; base?: string; attributes: Pair[] } = { attributes: [] };
  for (const item of items) {
    const at = item.indexOf("=");
    const [name, value] = [item.slice(0, at), item.slice(at + 1)];
    if (name === "ep" || name === "d" || name === "base") found[name] = value;
    else if (name === "lt") found.ltS = Number(value);
    else found.attributes.push([name, value]);
  }
  return found;
}

function implicitBase({ scheme, peer }: ServerRequest): string {
  return `${scheme}://[${peer.address}]${peer.port === 5683 ? "" : `:${peer.port}`}`;
}

/** RFC 9176 section 6.1: targets and anchors are resolved against the base. The simulation sends absolute paths only. */
function readLinks(payload: Uint8Array, base: string): LedgerLink[] {
  const parsed = parseLinkFormat(new TextDecoder().decode(payload));
  if (!parsed.ok) throw new Error("the simulation sent a document that cannot be read");
  return parsed.links.map(({ target, attributes }) => ({
    target: base + target,
    attributes: attributes.map(([name, value]) => [name, name === "anchor" ? `${base}${value}` : value]),
  }));
}
