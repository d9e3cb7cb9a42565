import { type ClientResponse, CODE, CONTENT_FORMAT, type CoapClient, METHOD } from "@tributary/coap-transport";
import {
  type Attribute,
  firstValue,
  isAbsoluteUri,
  type Link,
  lastValue,
  readTolerantly,
  resolveReference,
} from "@tributary/link-model";
import {
  findParameterFault,
  type LookupInterface,
  LT_AGE,
  LT_REMAINING,
  type RecordFault,
  type RecordLimits,
  type SharedLimit,
  takeLinks,
} from "@tributary/merge-engine";
import { feedSelector } from "@tributary/replication";
import { inTurns, type OwnedTurns } from "@tributary/runtime";
import {
  assertContent,
  type Discovered,
  deniesLookup,
  lookupGone,
  lookupUri,
  toUpstreamError,
} from "../discovery/discovery.js";
import type { OwnNames } from "../discovery/own-names.js";
import { checkDocumentWeight, documentLimit } from "../document-size.js";
import { UpstreamError } from "../errors.js";
import { documentLosses, type LeftOutCause, LossCount } from "../left-out.js";
import { ENTRIES_PER_STEP, NOT_ENDPOINT_ATTRIBUTES } from "../plain-rd/lookup-documents.js";
import type { Remarks } from "../remarks.js";
import type { AskedListener, AskedObservation, AskedResult, CapabilityReport, UnchangedResult } from "../types.js";

export interface AskDeps {
  readonly client: CoapClient;
  readonly found: Discovered;
  readonly capabilities: CapabilityReport;
  readonly names: OwnNames;
  readonly remarks: Remarks;
  readonly recordLimits: RecordLimits;
  /** Bounds a document. */
  readonly memory: SharedLimit;
  /** Divides work on long documents. */
  readonly turns: OwnedTurns;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What `etag` names is held already. */
export interface KnownResult {
  readonly etag?: Uint8Array | undefined;
}

/**
 * Put a lookup to the RD itself (draft 4.2), with one retry, and transcode the answer: its references are relative to the
 * RD and would change their meaning here. @throws {UpstreamError}
 */
export async function askLookup(
  deps: AskDeps,
  kind: LookupInterface,
  items: readonly string[],
  held: KnownResult = {},
): Promise<AskedResult | UnchangedResult> {
  const { client, timeoutMs, signal } = deps;
  const request = lookupRequest(deps, kind, items, held);
  const ask = () => client.request(request, { timeoutMs, signal, maxBodyBytes: documentLimit(deps.memory) });
  try {
    const response = await ask().catch((error: unknown) => {
      if (signal.aborted) throw error;
      return ask();
    });
    return await readAnswer(deps, kind, response, held);
  } catch (error) {
    throw toUpstreamError(error);
  }
}

/** The same, observed: passes on the response and the notifications until the observation ends or is closed. */
export function observeLookup(
  deps: AskDeps,
  kind: LookupInterface,
  items: readonly string[],
  { onResult, onEnd }: AskedListener,
  { etag }: KnownResult = {},
): AskedObservation {
  let held = etag;
  let isOver = false;
  const finish = (error: UpstreamError): void => {
    deps.signal.removeEventListener("abort", close);
    if (!isOver) onEnd(error);
    isOver = true;
  };
  /** What came last and was not read yet; what came before it does not matter any more. */
  let unread: ClientResponse | undefined;
  let end: UpstreamError | undefined;
  let isReading = false;
  const readAll = async (): Promise<void> => {
    isReading = true;
    try {
      for (let next = unread; next !== undefined && !isOver; next = unread) {
        unread = undefined;
        const answer = await readAnswer(deps, kind, next, { etag: held });
        if (!isOver) onResult(answer);
      }
    } catch (error) {
      finish(toUpstreamError(error));
      observation.cancel();
    }
    isReading = false;
    if (end !== undefined) finish(end);
  };
  const onNotification = (response: ClientResponse): void => {
    unread = response;
    if (!isReading) void readAll();
  };
  const onFinished = (reason: "not-observable" | "error-response" | Error): void => {
    end = reason instanceof Error ? toUpstreamError(reason) : new UpstreamError("UPSTREAM_REFUSED", reason);
    if (!isReading) finish(end);
  };
  const observation = deps.client.observe(
    lookupRequest(deps, kind, items, { etag }),
    { onNotification, onEnd: onFinished },
    { timeoutMs: deps.timeoutMs, maxBodyBytes: documentLimit(deps.memory) },
  );
  const close = (): void => {
    deps.signal.removeEventListener("abort", close);
    if (isOver) return;
    isOver = true;
    void observation.close();
  };
  deps.signal.addEventListener("abort", close, { once: true });
  return {
    refresh(next) {
      held = next;
      if (!isOver) observation.refresh(next === undefined ? [] : [next]);
    },
    close,
  };
}

function lookupRequest(deps: AskDeps, kind: LookupInterface, items: readonly string[], { etag }: KnownResult) {
  return {
    method: METHOD.GET,
    uri: lookupUri(deps.found, kind),
    query: ownItems(kind, items, deps),
    accept: CONTENT_FORMAT.LINK_FORMAT,
    ...(etag === undefined ? {} : { etags: [etag] }),
  };
}

/** In turns, for an answer may be long. @throws {UpstreamError} */
async function readAnswer(
  deps: AskDeps,
  kind: LookupInterface,
  response: ClientResponse,
  { etag: held }: KnownResult,
): Promise<AskedResult | UnchangedResult> {
  const { maxAgeS, etag, payload } = response;
  if (response.code === CODE.VALID && held !== undefined) return { isUnchanged: true, maxAgeS };
  if (deniesLookup(response.code)) throw lookupGone(kind, response.code);
  assertContent(response);
  const taken = await inTurns(deps.turns, takeDocument(deps, kind, payload), deps.signal);
  if (taken === undefined) throw new UpstreamError("UPSTREAM_CLOSED", "nobody waits for the answer any more");
  const answer = { ...taken, maxAgeS, bytes: payload.length };
  return etag === undefined ? answer : { ...answer, etag };
}

type TakenDocument = Pick<AskedResult, "links" | "received" | "losses">;

function* takeDocument(deps: AskDeps, kind: LookupInterface, payload: Uint8Array): Generator<void, TakenDocument> {
  yield* checkDocumentWeight(payload, deps.memory, "");
  const parsed = yield* readTolerantly(payload);
  const [first] = parsed.problems;
  if (first !== undefined) deps.remarks.add(`${kind} lookup is not valid link format (${first.reason})`);
  const uri = lookupUri(deps.found, kind);
  if (kind === "ep") yield* deps.names.noteInSteps(parsed.links, uri, false);
  const losses = new LossCount();
  for (const [cause, { count, example }] of documentLosses(parsed, `the ${kind} lookup`))
    losses.add(cause, example, count);
  const links: Link[] = [];
  let looked = 0;
  for (const link of parsed.links) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    const refusal = refusalOf(kind, link, uri, deps);
    // A node of this kind tells its own registrations from those of others, which are upstreams themselves (draft 4.4.2).
    // What is registered at another server that is known here comes from there.
    const isOfAnother =
      refusal?.cause === "other-authority" && (deps.found.isTributary || refusal.isKnownServer === true);
    if (refusal === null) links.push(transcode(kind, link, uri, deps));
    else if (!isOfAnother) losses.add(refusal.cause, refusal.message);
  }
  return { links, received: parsed.links.length, losses: losses.losses };
}

/**
 * Of an RD that shows registrations of others, only its own are asked for (draft 4.4.2): others are upstreams themselves. Of a
 * lookup proxy that is followed as such, all.
 */
function ownItems(kind: LookupInterface, asked: readonly string[], { capabilities, found, names }: AskDeps): string[] {
  if (found.isTier) return [...asked];
  const items = asked.map((item) => asNamedThere(kind, item, found, names));
  // First, because to some RDs the last criterion is the only one.
  if (kind === "ep") return [...(capabilities.hrefFilter === "yes" ? [feedSelector("ep", "own")] : []), ...items];
  return items.map((item) =>
    item === "provenance" && capabilities.provenance === "yes" ? feedSelector("res", "own") : item,
  );
}

/**
 * A criterion that names a registration resource of the RD by the URI that is shown here, as the RD writes it: most by its path,
 * since not every RD knows under which address it is reached. A resource lookup takes `href` for a target too, and that stays as it is.
 */
function asNamedThere(kind: LookupInterface, item: string, { authority }: Discovered, names: OwnNames): string {
  const [, name, value = ""] = /^(href|provenance)=(.*)$/s.exec(item) ?? [];
  if (name === undefined || (name === "href" && kind === "res") || !value.startsWith(`${authority}/`)) return item;
  return `${name}=${names.asWritten(value.slice(authority.length))}`;
}

/** Why a link is not passed on; null when it is. */
function refusalOf(kind: LookupInterface, link: Link, uri: string, deps: AskDeps): Refusal | null {
  const { found } = deps;
  const refused = (cause: LeftOutCause, what: string): Refusal => ({
    cause,
    message: `the entry <${link.target}> ${what}`,
  });
  if (kind === "ep" && !firstValue(link, "ep")) return refused("no-name", "has no endpoint name");
  if (!found.isTier && !isRegisteredThere(kind, link, uri, deps)) {
    const place = deps.names.placeOf(link, uri);
    if (kind === "ep" && place.kind === "elsewhere") return { cause: "other-authority", ...place };
    const message = `a link of <${link.target}> is registered at another authority`;
    const provenance = lastValue(link, "provenance");
    const isKnownServer = typeof provenance === "string" && deps.names.isKnownServer(provenance, uri);
    return { cause: "other-authority", message, isKnownServer };
  }
  const fault =
    kind === "ep" ? endpointFault(link, deps) : takeLinks([transcode(kind, link, uri, deps)], deps.recordLimits).fault;
  return fault === undefined ? null : refused(fault.fault, fault.message);
}

interface Refusal {
  readonly cause: LeftOutCause;
  readonly message: string;
  readonly isKnownServer?: boolean;
}

function isRegisteredThere(kind: LookupInterface, link: Link, uri: string, { capabilities, names }: AskDeps): boolean {
  if (kind === "ep") return names.placeOf(link, uri).kind !== "elsewhere";
  const provenance = capabilities.provenance === "yes" ? lastValue(link, "provenance") : undefined;
  return typeof provenance !== "string" || names.pathOf(provenance, uri) !== null;
}

/** A registration of an upstream has the limits of one here, however it is asked for. */
function endpointFault(link: Link, { recordLimits }: AskDeps): RecordFault | undefined {
  const ep = firstValue(link, "ep") ?? "";
  const d = firstValue(link, "d");
  const base = firstValue(link, "base") ?? firstValue(link, "con");
  const attributes = link.attributes.filter(([name]) => !NOT_ENDPOINT_ATTRIBUTES.has(name));
  const named = { href: link.target, ep, ...(typeof d === "string" ? { d } : {}) };
  return findParameterFault({ ...named, ...(typeof base === "string" ? { base } : {}), attributes }, recordLimits);
}

function transcode(kind: LookupInterface, link: Link, uri: string, { found, capabilities, names }: AskDeps): Link {
  const absolute = (reference: string) =>
    isAbsoluteUri(reference) ? reference : found.authority + resolveReference(uri, reference).slice(originLength(uri));
  // A registration has one URI here, under whatever name the RD writes it.
  const registration = (reference: string) => {
    const path = found.isTier ? null : names.pathOf(reference, uri);
    return path === null ? absolute(reference) : found.authority + path;
  };
  const attributes = link.attributes.flatMap(([name, value]): Attribute[] => {
    if (name === "anchor" && value !== null) return [[name, absolute(value)]];
    // What the RD does not generate itself was put there by a client (PRV-06).
    if (name === "provenance")
      return capabilities.provenance === "yes" && value !== null ? [[name, registration(value)]] : [];
    if (name === LT_AGE || name === LT_REMAINING) return capabilities.lifetimeAge === "yes" ? [[name, value]] : [];
    return [[name, value]];
  });
  return { target: kind === "ep" ? registration(link.target) : absolute(link.target), attributes };
}

function originLength(uri: string): number {
  const path = uri.indexOf("/", uri.indexOf("//") + 2);
  return path < 0 ? uri.length : path;
}
