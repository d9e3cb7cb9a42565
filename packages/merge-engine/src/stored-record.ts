import { type Attribute, type Link, parseLinkFormat, serialiseLinks } from "@tributary/link-model";
import type { StringPool } from "./string-pool.js";
import type { Registration, SourcedRegistration } from "./types.js";

/** One source of the directory. */
export interface Source {
  readonly name: string;
  authority: string | null;
  isConnected: boolean;
  readonly records: Map<string, StoredRecord>;
  /** How many of its records are shown. */
  shown: number;
}

/** One (ep, d) pair with its live records; at least one while it exists. */
export interface KeyState {
  readonly ep: string;
  readonly d: string | undefined;
  readonly slot: number;
  readonly records: StoredRecord[];
  shown: StoredRecord | null;
}

/** A registration as the directory keeps it: links as text, parsed when they are needed. */
export class StoredRecord {
  readonly source: Source;
  readonly href: string;
  key: KeyState;
  base: string;
  attributes: readonly Attribute[];
  /** Link-format text; an array where link format cannot express the links. */
  compactLinks: string | readonly Link[];
  ltMs: number | undefined;
  renewedAtMs: number;
  expiresAtMs: number;
  expiry: Registration["expiry"];
  zone: string | undefined;
  /** Time of this record's item in the expiry heap; infinity: none. */
  scheduledMs = Number.POSITIVE_INFINITY;

  constructor(source: Source, key: KeyState, registration: Registration, pool: StringPool) {
    this.source = source;
    this.key = key;
    this.href = registration.href;
    this.base = pool.intern(registration.base);
    this.attributes = pool.internAttributes(registration.attributes);
    this.compactLinks = compactLinks(registration.links);
    this.ltMs = registration.ltMs;
    this.renewedAtMs = registration.renewedAtMs;
    this.expiresAtMs = registration.expiresAtMs;
    this.expiry = registration.expiry;
    this.zone = registration.zone;
  }

  get shownHref(): string {
    return this.source.authority === null ? this.href : this.source.authority + this.href;
  }

  /** Exact records always end; assumed ones only while their source cannot say otherwise (rule 4). */
  get endsByItself(): boolean {
    return this.expiry === "exact" || !this.source.isConnected;
  }

  /** An independent view of the record as it is now. */
  view(): SourcedRegistration {
    return new RegistrationView(this);
  }
}

/** Text of the links where link format can express them. */
export function compactLinks(links: readonly Link[]): string | readonly Link[] {
  try {
    return serialiseLinks(links);
  } catch {
    return links;
  }
}

export function expandLinks(compact: string | readonly Link[]): readonly Link[] {
  if (typeof compact !== "string") return compact;
  const result = parseLinkFormat(compact);
  // What was serialised by this package reads back.
  return result.ok ? result.links : [];
}

class RegistrationView implements SourcedRegistration {
  readonly source: string;
  readonly shownHref: string;
  readonly href: string;
  readonly ep: string;
  declare readonly d?: string;
  readonly base: string;
  readonly attributes: readonly Attribute[];
  declare readonly ltMs?: number;
  readonly renewedAtMs: number;
  readonly expiresAtMs: number;
  readonly expiry: Registration["expiry"];
  declare readonly zone?: string;
  readonly #compactLinks: string | readonly Link[];
  #links: readonly Link[] | undefined;

  constructor(record: StoredRecord) {
    this.source = record.source.name;
    this.shownHref = record.shownHref;
    this.href = record.href;
    this.ep = record.key.ep;
    if (record.key.d !== undefined) this.d = record.key.d;
    this.base = record.base;
    this.attributes = record.attributes;
    if (record.ltMs !== undefined) this.ltMs = record.ltMs;
    this.renewedAtMs = record.renewedAtMs;
    this.expiresAtMs = record.expiresAtMs;
    this.expiry = record.expiry;
    if (record.zone !== undefined) this.zone = record.zone;
    this.#compactLinks = record.compactLinks;
  }

  get links(): readonly Link[] {
    this.#links ??= expandLinks(this.#compactLinks);
    return this.#links;
  }
}
