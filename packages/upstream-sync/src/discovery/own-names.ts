import {
  firstValue,
  isAbsoluteUri,
  isPathAbsolute,
  type Link,
  originOf,
  resolveReference,
  splitUri,
} from "@tributary/link-model";
import { normalOrigin } from "./discovery.js";

/** Where an entry of an endpoint lookup is registered. */
export type EntryPlace =
  /** At the RD itself, at this path. */
  | { readonly kind: "path"; readonly path: string }
  /** At the RD itself, which lists endpoints by their own URI instead of a registration resource. */
  | { readonly kind: "base" }
  | {
      readonly kind: "elsewhere";
      readonly message: string;
      /** At another server that is known here, from which it comes: nothing is missing without this entry. */
      readonly isKnownServer: boolean;
    };

/** An entry that is at some path under an authority that is not known to be the RD's. */
export interface EntryAt {
  readonly path: string;
  readonly ep: string;
  readonly d?: string;
}

export interface OwnNamesOptions {
  /** Origins that are known to be the RD's besides the one that it is asked at. */
  readonly authorities: readonly string[];
  /** The RD is one that takes registrations itself, and does not tell in other ways what is registered there. */
  readonly mayGuess: boolean;
  /** Whether an origin, which all entries share, may be the RD's own; false for one that is known as another server. */
  readonly mayBeOwn: (origin: string) => boolean;
  /** The same registration is known from another source: then the entry came from there. */
  readonly isKnownFromElsewhere: (entry: EntryAt) => boolean;
}

/** Entries looked at in one step. */
const LINKS_PER_NOTE = 64;

/**
 * The names under which one RD writes its own URIs. Only what is registered at the RD itself is taken from it (draft 4.4.2), and an
 * RD that is asked at an address may write full URIs with its host name, the address behind a NAT, or `localhost`. That is
 * taken for its own where nothing else is possible: every entry is under one authority, which belongs to no other server that
 * is known here, and none is known from another source. Otherwise a setting says it.
 */
export class OwnNames {
  readonly #options: OwnNamesOptions;
  readonly #known: ReadonlySet<string>;
  /** Of the entries seen so far: some are under a name that is known; the other origins, two at most. */
  #hasOwn = false;
  #others = new Set<string>();
  #isGuessVetoed = false;
  #written: string | undefined;
  /** What was taken for its own stays so while all entries are under it, whatever is registered elsewhere since. */
  #taken: string | undefined;

  constructor(options: OwnNamesOptions) {
    this.#options = options;
    this.#known = new Set(options.authorities.map(normalOrigin));
  }

  /** The origin that is taken for the RD's own because all entries are under it; undefined when there is none. */
  get guessed(): string | undefined {
    const [origin, another] = this.#others;
    const isOnly = origin !== undefined && another === undefined && !this.#hasOwn;
    if (isOnly && origin === this.#taken) return origin;
    return isOnly && !this.#isGuessVetoed && this.#options.mayGuess && this.#options.mayBeOwn(origin)
      ? origin
      : undefined;
  }

  /** A path of the RD as it writes it itself: with the origin that its own entries have, if they have one. */
  asWritten(path: string): string {
    return `${this.#written ?? ""}${path}`;
  }

  /** Entries of an endpoint lookup that was read at `uri`; `isWhole`: all that it has. */
  note(entries: readonly Link[], uri: string, isWhole: boolean): void {
    const steps = this.noteInSteps(entries, uri, isWhole);
    while (steps.next().done !== true);
  }

  /** The same in small steps. */
  *noteInSteps(entries: readonly Link[], uri: string, isWhole: boolean): Generator<void, void> {
    if (isWhole) {
      this.#hasOwn = false;
      this.#isGuessVetoed = false;
      this.#others = new Set();
    }
    let looked = 0;
    for (const link of entries) {
      if (++looked % LINKS_PER_NOTE === 0) yield;
      if (this.#knownPathOf(link.target, uri) !== null) this.#hasOwn = true;
      else if (!isBase(link)) this.#noteOther(link, uri);
    }
    this.#taken = this.guessed;
    const own = entries.find(({ target }) => this.pathOf(target, uri) !== null);
    if (own !== undefined) this.#written = originOf(own.target);
  }

  #noteOther(link: Link, uri: string): void {
    const target = resolveReference(uri, link.target);
    if (this.#others.size < 2) this.#others.add(normalOrigin(target));
    if (normalOrigin(target) === this.#taken) return;
    if (this.#isGuessVetoed || this.#hasOwn || this.#others.size > 1) return;
    const ep = firstValue(link, "ep");
    const d = firstValue(link, "d");
    const path = pathOf(target);
    if (typeof ep !== "string" || path === null) return;
    this.#isGuessVetoed = this.#options.isKnownFromElsewhere({ path, ep, ...(typeof d === "string" ? { d } : {}) });
  }

  /** The path on the RD that a reference in a document from `uri` names; null when it names something elsewhere. */
  pathOf(reference: string, uri: string): string | null {
    const known = this.#knownPathOf(reference, uri);
    if (known !== null) return known;
    const target = resolveReference(uri, reference);
    return normalOrigin(target) === this.guessed ? pathOf(target) : null;
  }

  #knownPathOf(reference: string, uri: string): string | null {
    if (isPathAbsolute(reference)) return reference;
    const target = resolveReference(uri, reference);
    const origin = normalOrigin(target);
    return origin === normalOrigin(uri) || this.#known.has(origin) ? pathOf(target) : null;
  }

  /** Where an entry of an endpoint lookup at `uri` is registered. */
  placeOf(link: Link, uri: string): EntryPlace {
    const path = this.pathOf(link.target, uri);
    if (path !== null) return { kind: "path", path };
    if (isBase(link) && this.#options.mayGuess && !this.#hasOwn && this.#others.size === 0) return { kind: "base" };
    const origin = originOf(resolveReference(uri, link.target));
    const advice = origin === undefined ? "" : `; if that is this RD, write authorities: ["${origin}"]`;
    const message = `the entry <${link.target}> is registered at another authority${advice}`;
    return { kind: "elsewhere", message, isKnownServer: !isBase(link) && this.isKnownServer(link.target, uri) };
  }

  /** Whether a reference in a document from `uri` names a resource of this node or of another configured upstream. */
  isKnownServer(reference: string, uri: string): boolean {
    const target = resolveReference(uri, reference);
    return (
      pathOf(target) !== null && this.pathOf(reference, uri) === null && !this.#options.mayBeOwn(normalOrigin(target))
    );
  }
}

/** Whether an entry is the URI of an endpoint itself: a host without a path, and no other base beside it. */
function isBase(link: Link): boolean {
  if (!isAbsoluteUri(link.target)) return false;
  const { authority, path, query, fragment } = splitUri(link.target);
  if (authority === undefined || (path !== "" && path !== "/") || query !== undefined || fragment !== undefined)
    return false;
  const base = firstValue(link, "base") ?? firstValue(link, "con");
  return typeof base !== "string" || normalOrigin(base) === normalOrigin(link.target);
}

/** The path of a URI, or of a path; null when there is none. Pure. */
export function pathOf(uri: string): string | null {
  if (isPathAbsolute(uri)) return uri;
  const origin = originOf(uri);
  const path = origin === undefined ? "" : uri.slice(origin.length);
  return isPathAbsolute(path) ? path : null;
}
