import { type Attribute, isPathAbsolute, type Link } from "@tributary/link-model";
import type { FederationClock } from "../federation-clock.js";
import type { LargeMap } from "../large-map.js";
import type { Registration, SourcedRegistration } from "../types.js";
import {
  type PackedAttributes,
  type PackedLinks,
  packAttributes,
  packLinks,
  unpackAttributes,
  unpackLinks,
} from "./packed-links.js";
import { registrationDigest } from "./registration-digest.js";
import { ownText, type StringPool } from "./string-pool.js";

/** One source of the directory. */
export interface Source {
  readonly name: string;
  /** Name of its registration resources in the index. */
  readonly hrefToken: string;
  authority: string | null;
  /** Account of its records in the limits. */
  readonly account: string;
  isConnected: boolean;
  /** Federation time of this node, for records without a stamp. */
  readonly clock: FederationClock;
  /** Lead of federation time over the stamps of this source, ms; null: its stamps are of no use. */
  leadMs: number | null;
  readonly records: LargeMap<StoredRecord>;
  /** Records past an assumed end, which takes effect as soon as the source is lost. Not in the expiry heap. */
  readonly overdue: Set<StoredRecord>;
  /** How many of its records are shown. */
  shown: number;
}

/** One (ep, d) pair with its records; at least one while it is open. */
export interface KeyState {
  readonly ep: string;
  readonly d: string | undefined;
  /** A small number of its own while it is open. */
  readonly slot: number;
  /** In the order of rule 1. */
  records: StoredRecord[];
  /** The first of `records` that had not ended at the last change; null when all had. */
  shown: StoredRecord | null;
  /** Number of links with which the order of keys counts it; -1: not counted. Written by `KeyOrder` only. */
  counted: number;
}

/** A registration as the directory keeps it. */
export class StoredRecord {
  readonly source: Source;
  readonly key: KeyState;
  readonly href: string;
  base = "";
  attributes: PackedAttributes = [];
  links: PackedLinks = [];
  ltMs: number | undefined;
  zone: string | undefined;
  via: readonly string[] | undefined;
  isExact = true;
  renewedAtMs: number;
  expiresAtMs: number;
  /** Wall-clock time of the last renewal as reported by its RD; NaN: not reported. Always a number, which takes less memory. */
  stampMs: number;
  /** When the expiry heap examines it, no later than its end. */
  scheduledMs = 0;
  /** Its place in the expiry heap, or -1. */
  heapIndex = -1;
  /** Its weight in the limit of bytes. */
  weight = 0;
  /** See `registrationDigest`. */
  digest = 0;

  constructor(source: Source, key: KeyState, registration: Registration, pool: StringPool) {
    this.source = source;
    this.key = key;
    this.href = ownText(registration.href);
    this.renewedAtMs = registration.renewedAtMs;
    this.expiresAtMs = registration.expiresAtMs;
    this.stampMs = registration.stampMs ?? Number.NaN;
    this.write(registration, pool);
  }

  /** Takes over everything except key, href and times. */
  write(registration: Registration, pool: StringPool): void {
    this.base = ownText(registration.base);
    this.attributes = packAttributes(registration.attributes, pool);
    this.links = packLinks(registration.links, pool);
    this.ltMs = registration.ltMs;
    this.zone = registration.zone === undefined ? undefined : pool.keep(registration.zone);
    this.via = registration.via;
    this.isExact = registration.expiry === "exact";
    this.digest = registrationDigest(registration);
  }

  get shownHref(): string {
    const { authority } = this.source;
    return authority === null || !isPathAbsolute(this.href) ? this.href : authority + this.href;
  }

  /** Federation time of its last renewal, ms since the Unix epoch (rule 1). */
  get orderMs(): number {
    const { authority, clock, leadMs } = this.source;
    if (leadMs === null || Number.isNaN(this.stampMs)) return clock.timeAt(this.renewedAtMs);
    // Stamps of this node itself, from before a restart, move with its own federation time.
    return this.stampMs + (authority === null ? clock.leadMs : leadMs);
  }

  /** Whether it has ended: exact records at their time, assumed ones only while their source is lost (rule 3). */
  hasEnded(nowMs: number): boolean {
    return this.expiresAtMs <= nowMs && (this.isExact || !this.source.isConnected);
  }
}

/** Reads a record in place and unpacks parts on demand. Only valid until the next change. */
export class RecordReader {
  readonly #record: StoredRecord;
  #attributes: readonly Attribute[] | undefined;
  #links: readonly Link[] | undefined;

  constructor(record: StoredRecord) {
    this.#record = record;
  }

  get href(): string {
    return this.#record.href;
  }
  get shownHref(): string {
    return this.#record.shownHref;
  }
  get ep(): string {
    return this.#record.key.ep;
  }
  get d(): string | undefined {
    return this.#record.key.d;
  }
  get base(): string {
    return this.#record.base;
  }
  get attributes(): readonly Attribute[] {
    this.#attributes ??= unpackAttributes(this.#record.attributes);
    return this.#attributes;
  }
  get links(): readonly Link[] {
    this.#links ??= unpackLinks(this.#record.links);
    return this.#links;
  }
}

/** Copies a record as it is now. `same` has the same attributes and links, unpacked. */
export function snapshot(record: StoredRecord, same?: Pick<Registration, "attributes" | "links">): SourcedRegistration {
  const { source, key, base, ltMs, renewedAtMs, expiresAtMs, isExact, zone, via } = record;
  const taken: { -readonly [Field in keyof SourcedRegistration]: SourcedRegistration[Field] } = {
    source: source.name,
    href: record.href,
    shownHref: record.shownHref,
    ep: key.ep,
    base,
    attributes: same?.attributes ?? unpackAttributes(record.attributes),
    links: same?.links ?? unpackLinks(record.links),
    renewedAtMs,
    expiresAtMs,
    expiry: isExact ? "exact" : "assumed",
    orderMs: record.orderMs,
  };
  if (key.d !== undefined) taken.d = key.d;
  if (ltMs !== undefined) taken.ltMs = ltMs;
  if (zone !== undefined) taken.zone = zone;
  if (via !== undefined) taken.via = via;
  if (!Number.isNaN(record.stampMs)) taken.stampMs = record.stampMs;
  return taken;
}
