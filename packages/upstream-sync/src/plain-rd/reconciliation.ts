import type { Link } from "@tributary/link-model";
import { inTurns } from "@tributary/runtime";
import { BLIND_CHECKS, VERIFIED_AT_ONCE } from "../constants.js";
import type { FollowerDeps } from "../follower.js";
import { LossCount, NO_LOSSES } from "../left-out.js";
import type { Attribution } from "./attribution.js";
import type { LinksListener } from "./attribution-requests.js";
import { type EndpointDocument, type EndpointEntry, readEndpointDocumentInSteps } from "./lookup-documents.js";
import type { LookupDocument, LookupReader } from "./lookup-reader.js";
import type { PlainRdCopy } from "./plain-rd-copy.js";

export interface ReconciliationParts {
  readonly copy: PlainRdCopy;
  readonly reader: LookupReader;
  readonly attribution: Attribution;
  readonly signal: AbortSignal;
}

/** Brings documents into the copy, and sees to it that the links of its registrations add up to what the RD shows. */
export class Reconciliation {
  readonly #deps: FollowerDeps;
  readonly #parts: ReconciliationParts;
  #nextBlindCheck = 0;
  #hasEntriesNotTaken = false;
  #showsPart = false;

  constructor(deps: FollowerDeps, parts: ReconciliationParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  /** Links were taken before those of all registrations were known. */
  get showsPart(): boolean {
    return this.#showsPart;
  }

  get #isStopped(): boolean {
    return this.#parts.signal.aborted;
  }

  /** The whole resource lookup, if it was read to attribute links; null: it was not. */
  takeWhole(): Promise<readonly Link[] | null> | null {
    return this.#parts.attribution.takeWhole();
  }

  /** True when anything changed. @throws {UpstreamError} when the RD does not answer any more, or is another one now. */
  async takeEndpoints(document: LookupDocument): Promise<boolean> {
    const { env } = this.#deps;
    const { copy, reader } = this.#parts;
    let read = await this.#read(document);
    if (this.#isStopped) return false;
    const isReplaced = (): boolean => read.isWhole && copy.size > 0 && !copy.hasAnyOf(read.endpoints);
    if (isReplaced()) {
      // Nothing is left of what was there: another program may have taken the place of the RD.
      await this.#deps.confirmDiscovery();
      read = await this.#read(await reader.readEndpoints());
      if (this.#isStopped) return false;
    }
    const { endpoints, leftOut, fromElsewhere, isWhole } = read;
    this.#deps.leftOut.replace("entries", leftOut);
    this.#hasEntriesNotTaken = fromElsewhere > 0 || leftOut.size > 0;
    const nowMs = env.clock.nowMs();
    if (isReplaced()) return this.#replace(endpoints, nowMs);
    const taken = await this.#inTurns(copy.takeEndpoints(endpoints, isWhole, nowMs));
    if (taken === undefined) return false;
    const isAttributed = await this.#attribute(taken.toAttribute);
    return taken.changes > 0 || isAttributed;
  }

  /** What takes the place of all that was there is shown with its links before the others go: no empty directory in between. */
  async #replace(endpoints: ReadonlyMap<string, EndpointEntry>, nowMs: number): Promise<boolean> {
    const { copy } = this.#parts;
    const links = await this.#linksOf([...endpoints.values()]);
    if (this.#isStopped) return false;
    await this.#inTurns(copy.replace(endpoints, links, nowMs));
    if (!this.#isStopped) await this.#takeLinks(new Map());
    return true;
  }

  /** Undefined when it is given up meanwhile: one pass works at a time, and nothing else changes what it works on. */
  #inTurns<T>(work: Generator<void, T>): Promise<T | undefined> {
    return inTurns(this.#deps.turns, work, this.#parts.signal);
  }

  async #read({ links, isWhole }: LookupDocument): Promise<EndpointDocument & { readonly isWhole: boolean }> {
    const { names, options, recordLimits: limits, remarks } = this.#deps;
    const { defaultSector } = options;
    const uri = this.#parts.reader.uri("ep");
    await this.#inTurns(names.noteInSteps(links, uri, isWhole));
    if (names.guessed !== undefined) remarks.add(`it writes its own URIs under ${names.guessed}`);
    const showsOthers = this.#parts.reader.isTributary;
    const context = { uri, names, limits, showsOthers, ...(defaultSector === undefined ? {} : { defaultSector }) };
    const document = await this.#inTurns(readEndpointDocumentInSteps(links, context));
    if (!showsOthers && (document?.fromElsewhere ?? 0) > 0)
      remarks.add("it shows registrations of other servers that are known here; they are taken from there");
    return { endpoints: new Map(), leftOut: NO_LOSSES, fromElsewhere: 0, ...document, isWhole };
  }

  /**
   * Compare with all links of the RD, and ask again for those registrations that differ; true when anything changed. A whole
   * of null is not to be had: then a few registrations are asked for again each time. @throws {UpstreamError}
   */
  async compare(whole: readonly Link[] | null): Promise<boolean> {
    const isBlind = whole === null || this.#parts.copy.isShort;
    const isChanged = isBlind ? await this.#checkBlindly() : await this.#compareWith(whole);
    if (!this.#isStopped) this.#noteOrphans(!isBlind);
    return isChanged;
  }

  /** Links of no registration. Those of an entry that is not taken are accounted for by that, or come from another upstream. */
  #noteOrphans(isKnown: boolean): void {
    const isOdd = isKnown && !this.#hasEntriesNotTaken && !this.#parts.reader.isTributary;
    const count = isOdd ? this.#parts.copy.orphans : 0;
    const losses = new LossCount();
    losses.add("no-registration", "links of its resource lookup belong to no registration that it shows", count);
    this.#deps.leftOut.replace("links", losses.losses);
  }

  async #compareWith(whole: readonly Link[]): Promise<boolean> {
    const { copy, reader, attribution } = this.#parts;
    let suspects = await this.#inTurns(copy.suspects(whole));
    if (suspects === undefined) return false;
    let isChanged = false;
    // New links that point nowhere are mostly those of a new registration.
    if (suspects.length === 0) isChanged = await this.takeEndpoints(await reader.readEndpoints());
    else isChanged = await this.#attribute(suspects);
    if (this.#isStopped || (await this.#inTurns(copy.suspects(whole))) === undefined) return isChanged;

    // It changed in between, or registrations are concerned to which nothing points: read both again and ask for all of them.
    if (await this.takeEndpoints(await reader.readEndpoints())) isChanged = true;
    const latest = await reader.readResources();
    suspects = latest === null || this.#isStopped ? undefined : await this.#inTurns(copy.suspects(latest));
    if (latest === null || suspects === undefined) return isChanged;
    const concerned = suspects.length === 0 ? copy.endpoints() : suspects;
    if (await this.#attribute(concerned)) isChanged = true;
    if (this.#isStopped || (await this.#inTurns(copy.suspects(latest))) === undefined) return isChanged;
    if (await attribution.reconsider(concerned)) {
      await this.#inTurns(copy.takeBackLinks(this.#deps.env.clock.nowMs()));
      await this.#attribute(copy.endpoints());
      isChanged = true;
    }
    if (await this.#inTurns(copy.acceptDifferences(latest)))
      this.#deps.remarks.add("the links of its registrations do not add up to its resource lookup");
    return isChanged;
  }

  /**
   * Verifies the links of a few registrations that were attributed by base; true when such links are wrong, and all were asked for.
   * @throws {UpstreamError} when the RD does not answer any more.
   */
  async verifySome(): Promise<boolean> {
    const { copy, attribution } = this.#parts;
    if (!(await attribution.verifySome(VERIFIED_AT_ONCE)) || this.#isStopped) return false;
    await this.#inTurns(copy.takeBackLinks(this.#deps.env.clock.nowMs()));
    await this.#attribute(copy.endpoints());
    return true;
  }

  async #checkBlindly(): Promise<boolean> {
    const all = this.#parts.copy.endpoints();
    if (this.#nextBlindCheck >= all.length) this.#nextBlindCheck = 0;
    const some = all.slice(this.#nextBlindCheck, this.#nextBlindCheck + BLIND_CHECKS);
    this.#nextBlindCheck += some.length;
    return this.#attribute(some);
  }

  async #attribute(endpoints: readonly EndpointEntry[]): Promise<boolean> {
    const { copy } = this.#parts;
    let isChanged = false;
    const links = await this.#linksOf(endpoints, async (some) => {
      if (await this.#inTurns(copy.takeLinks(some, this.#deps.env.clock.nowMs()))) isChanged = true;
      this.#noteShown();
    });
    if (this.#isStopped) return false;
    if (await this.#takeLinks(links)) isChanged = true;
    if (isChanged) this.#noteShown();
    return isChanged;
  }

  /** True when anything changed. */
  async #takeLinks(links: ReadonlyMap<string, readonly Link[]>): Promise<boolean> {
    const { copy } = this.#parts;
    const nowMs = this.#deps.env.clock.nowMs();
    const isChanged = await this.#inTurns(copy.takeLinks(links, nowMs));
    await this.#inTurns(copy.showUnattributed(nowMs));
    const unread = await this.#inTurns(copy.unattributed());
    if (isChanged === undefined || unread === undefined) return false;
    const losses = new LossCount();
    losses.add("no-links", `the links of ${unread[0]?.href} cannot be read`, unread.length);
    this.#deps.leftOut.replace("attribution", losses.losses);
    return isChanged;
  }

  #noteShown(): void {
    this.#showsPart = true;
    this.#deps.events.changed();
  }

  async #linksOf(
    endpoints: readonly EndpointEntry[],
    onSome?: LinksListener,
  ): Promise<Awaited<ReturnType<Attribution["linksOf"]>>> {
    const { attribution } = this.#parts;
    const links = await attribution.linksOf(endpoints, onSome);
    const { method } = attribution;
    if (method !== null && !this.#isStopped)
      this.#deps.report({ attribution: method, provenance: method === "provenance" ? "yes" : "no" });
    return links;
  }
}
