import type { Link } from "@tributary/link-model";
import type { Registration } from "@tributary/merge-engine";
import { MAX_PROBLEMS, MAX_STAGED } from "./constants.js";
import {
  type EndpointPart,
  endpointEntryText,
  linksEntryText,
  readEndpointEntry,
  readLinksEntry,
  readTimes,
} from "./feed-entry.js";
import { FeedHalf } from "./feed-half.js";
import { applyToSparseDocument, type SparseOutcome } from "./sparse-document.js";
import type {
  FeedKind,
  FeedOutcome,
  FeedReader,
  FeedReaderOptions,
  HeldRegistrations,
  ReplicaChange,
  Version,
} from "./types.js";

/**
 * Make the reader of both feeds of one RD (design section 3). Pure.
 *
 * The halves of a registration arrive by two feeds that count in one history. A change is handed out when both feeds have
 * reached it, so that links and parameters of different moments are never mixed; removals and renewals need only the
 * endpoint feed.
 */
export function createFeedReader(options: FeedReaderOptions): FeedReader {
  return new JoiningFeedReader(options);
}

type Applied = Extract<SparseOutcome, { kind: "applied" }>;

class JoiningFeedReader implements FeedReader {
  readonly #options: FeedReaderOptions;
  readonly #ep = new FeedHalf<EndpointPart>("ep");
  readonly #res = new FeedHalf<readonly Link[]>("res");

  constructor(options: FeedReaderOptions) {
    this.#options = options;
  }

  version(kind: FeedKind): Version | null {
    return this.#half(kind).version;
  }

  isComplete(kind: FeedKind): boolean {
    return this.#half(kind).complete;
  }

  restart(kind?: FeedKind): void {
    for (const half of [this.#ep, this.#res]) {
      if (kind === undefined || kind === half.kind) half.version = null;
    }
  }

  apply(kind: FeedKind, patch: Uint8Array | string, receivedAtMs: number, held: HeldRegistrations): FeedOutcome {
    const text = typeof patch === "string" ? patch : decodeUtf8(patch);
    if (text === null) return { kind: "malformed", message: "the patch is not UTF-8" };
    const { staged, version } = this.#half(kind);
    if (version !== null && staged.size >= (this.#options.maxStaged ?? MAX_STAGED))
      return { kind: "malformed", message: "one feed is too far ahead of the other" };
    const outcome = applyToSparseDocument(kind, text, this.#half(kind), (href) =>
      this.#presentEntry(kind, href, receivedAtMs, held),
    );
    if (outcome.kind !== "applied") return outcome;
    const half = this.#half(kind);
    if (outcome.isFresh) half.startAnew();
    half.version = outcome.version;
    half.complete = outcome.complete;
    const problems: string[] = [];
    const changes: ReplicaChange[] = [];
    if (kind === "ep") this.#takeEndpoints(outcome, receivedAtMs, held, changes, problems);
    else this.#takeLinks(outcome, problems);
    this.#join(held, changes);
    return { kind: "applied", changes, isComplete: this.#finishCopy(held, changes), problems };
  }

  #half(kind: FeedKind): FeedHalf<EndpointPart> | FeedHalf<readonly Link[]> {
    return kind === "ep" ? this.#ep : this.#res;
  }

  #takeEndpoints(
    outcome: Applied,
    receivedAtMs: number,
    held: HeldRegistrations,
    changes: ReplicaChange[],
    problems: string[],
  ): void {
    const context = { ...this.#options, receivedAtMs };
    for (const [href, entry] of outcome.entries) {
      if (outcome.renewedOnly.has(href)) {
        const times = readTimes(entry as Readonly<Record<string, unknown>>, context);
        if (!this.#ep.restage(href, (part) => ({ ...part, ...times }))) {
          changes.push({ kind: "renew", href, renewedAtMs: times.renewedAtMs, expiresAtMs: times.expiresAtMs });
        }
        continue;
      }
      const part = entry === undefined ? null : readEndpointEntry(href, entry, context);
      if (part !== null && !part.ok) note(problems, part.message);
      if (part?.ok) this.#ep.stage(href, part.value, outcome.version.counter);
      else this.#removeEndpoint(href, outcome, held, changes);
    }
  }

  /** What the RD does not hold any more is not shown any more: no need to wait for the other feed. */
  #removeEndpoint(href: string, outcome: Applied, held: HeldRegistrations, changes: ReplicaChange[]): void {
    this.#ep.stage(href, null, outcome.version.counter);
    if (held.get(href) !== undefined) changes.push({ kind: "remove", href });
  }

  #takeLinks(outcome: Applied, problems: string[]): void {
    for (const [href, entry] of outcome.entries) {
      const part = entry === undefined ? null : readLinksEntry(href, entry);
      if (part !== null && !part.ok) note(problems, part.message);
      this.#res.stage(href, part?.ok ? part.value : null, outcome.version.counter);
    }
  }

  /** Hand out what both feeds have reached. */
  #join(held: HeldRegistrations, changes: ReplicaChange[]): void {
    const reached = this.#reachedByBoth();
    if (reached === null) return;
    const hrefs = new Set<string>();
    for (const staged of [this.#ep.staged, this.#res.staged]) {
      for (const [href, { counter }] of staged) {
        if (counter > reached) break;
        hrefs.add(href);
      }
    }
    for (const href of hrefs) this.#joinOne(href, reached, held, changes);
  }

  #reachedByBoth(): number | null {
    const ep = this.#ep.version;
    const res = this.#res.version;
    return ep === null || res === null || ep.epoch !== res.epoch ? null : Math.min(ep.counter, res.counter);
  }

  #joinOne(href: string, reached: number, held: HeldRegistrations, changes: ReplicaChange[]): void {
    const endpoint = this.#ep.staged.get(href);
    const links = this.#res.staged.get(href);
    // One half is told up to a moment that the other feed has not reached: wait for it.
    if ((endpoint?.counter ?? 0) > reached || (links?.counter ?? 0) > reached) return;
    const before = held.get(href);
    const part = endpoint === undefined ? this.#heldEndpoint(href, before) : endpoint.value;
    const joined = links === undefined ? this.#heldLinks(href, before) : links.value;
    const isWaiting = part !== null && joined === null && !(this.#ep.complete && this.#res.complete);
    if (isWaiting) return;
    this.#ep.staged.delete(href);
    this.#res.staged.delete(href);
    if (part !== null) changes.push({ kind: "put", registration: { ...part, links: joined ?? [] } });
  }

  #heldEndpoint(href: string, before: Registration | undefined): EndpointPart | null {
    return before !== undefined && this.#ep.covers(href) ? before : null;
  }

  #heldLinks(href: string, before: Registration | undefined): readonly Link[] | null {
    return before !== undefined && this.#res.covers(href) ? before.links : null;
  }

  /** After a copy from the start, what the new document does not have is gone. */
  #finishCopy(held: HeldRegistrations, changes: ReplicaChange[]): boolean {
    if (!this.#ep.complete || !this.#res.complete || this.#reachedByBoth() === null) return false;
    const seen = this.#ep.seen;
    if (seen !== null) {
      const gone = [...held.hrefs()].filter((href) => !seen.has(href));
      for (const href of gone) changes.push({ kind: "remove", href });
    }
    this.#ep.seen = null;
    this.#res.seen = null;
    return true;
  }

  /** The entry as the document has it now, for operations that build on it. */
  #presentEntry(kind: FeedKind, href: string, nowMs: number, held: HeldRegistrations): unknown {
    const half = this.#half(kind);
    const staged = half.staged.get(href);
    if (staged !== undefined && staged.value === null) return undefined;
    const before = half.covers(href) ? held.get(href) : undefined;
    if (kind === "ep") {
      const part = (staged?.value as EndpointPart | undefined) ?? before;
      return part === undefined ? undefined : JSON.parse(endpointEntryText({ ...part, links: [] }, nowMs));
    }
    const links = (staged?.value as readonly Link[] | undefined) ?? before?.links;
    return links === undefined ? undefined : JSON.parse(linksEntryText({ links } as Registration));
  }
}

function note(problems: string[], message: string): void {
  if (problems.length < MAX_PROBLEMS) problems.push(message);
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
