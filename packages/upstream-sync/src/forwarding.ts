import { type ClientResponse, CODE, CONTENT_FORMAT, type CoapClient, METHOD } from "@tributary/coap-transport";
import {
  type Attribute,
  firstValue,
  isAbsoluteUri,
  type Link,
  lastValue,
  parseLinkFormatTolerantly,
  resolveReference,
  type TolerantParseResult,
} from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { MAX_DOCUMENT_BYTES } from "./constants.js";
import { assertContent, type Discovered, deniesLookup, lookupGone, lookupUri, toUpstreamError } from "./discovery.js";
import { UpstreamError } from "./errors.js";
import { documentLosses, LossCount, type Losses } from "./left-out.js";
import type { OwnNames } from "./own-names.js";
import type { Remarks } from "./remarks.js";
import type {
  CapabilityReport,
  ForwardedAnswer,
  ForwardedListener,
  ForwardedObservation,
  UnchangedAnswer,
} from "./types.js";

export interface ForwardingDeps {
  readonly client: CoapClient;
  readonly found: Discovered;
  readonly capabilities: CapabilityReport;
  readonly names: OwnNames;
  readonly remarks: Remarks;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What `etag` names is held already. */
export interface HeldAnswer {
  readonly etag?: Uint8Array | undefined;
}

/**
 * Put a lookup to the RD itself (draft 4.2), with one retry, and transcode the answer: its references are relative to the
 * RD and would change their meaning here. @throws {UpstreamError}
 */
export async function forwardLookup(
  deps: ForwardingDeps,
  kind: LookupInterface,
  items: readonly string[],
  held: HeldAnswer = {},
): Promise<ForwardedAnswer | UnchangedAnswer> {
  const { client, timeoutMs, signal } = deps;
  const request = lookupRequest(deps, kind, items, held);
  const ask = () => client.request(request, { timeoutMs, signal, maxBodyBytes: MAX_DOCUMENT_BYTES });
  try {
    const response = await ask().catch((error: unknown) => {
      if (signal.aborted) throw error;
      return ask();
    });
    return readAnswer(deps, kind, response, held);
  } catch (error) {
    throw toUpstreamError(error);
  }
}

/** The same, observed: what is answered and notified is told until the observation ends or is closed. */
export function observeLookup(
  deps: ForwardingDeps,
  kind: LookupInterface,
  items: readonly string[],
  { onAnswer, onEnd }: ForwardedListener,
  { etag }: HeldAnswer = {},
): ForwardedObservation {
  let held = etag;
  let isOver = false;
  const finish = (error: UpstreamError): void => {
    deps.signal.removeEventListener("abort", close);
    if (!isOver) onEnd(error);
    isOver = true;
  };
  const onNotification = (response: ClientResponse): void => {
    try {
      onAnswer(readAnswer(deps, kind, response, { etag: held }));
    } catch (error) {
      finish(toUpstreamError(error));
      observation.cancel();
    }
  };
  const onFinished = (reason: "not-observable" | "error-response" | Error): void =>
    finish(reason instanceof Error ? toUpstreamError(reason) : new UpstreamError("UPSTREAM_REFUSED", reason));
  const observation = deps.client.observe(
    lookupRequest(deps, kind, items, { etag }),
    { onNotification, onEnd: onFinished },
    { timeoutMs: deps.timeoutMs, maxBodyBytes: MAX_DOCUMENT_BYTES },
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

function lookupRequest(deps: ForwardingDeps, kind: LookupInterface, items: readonly string[], { etag }: HeldAnswer) {
  return {
    method: METHOD.GET,
    uri: lookupUri(deps.found, kind),
    query: ownItems(kind, items, deps),
    accept: CONTENT_FORMAT.LINK_FORMAT,
    ...(etag === undefined ? {} : { etags: [etag] }),
  };
}

/** @throws {UpstreamError} UPSTREAM_REFUSED */
function readAnswer(
  deps: ForwardingDeps,
  kind: LookupInterface,
  response: ClientResponse,
  { etag: held }: HeldAnswer,
): ForwardedAnswer | UnchangedAnswer {
  const { maxAgeS, etag, payload } = response;
  if (response.code === CODE.VALID && held !== undefined) return { isUnchanged: true, maxAgeS };
  if (deniesLookup(response.code)) throw lookupGone(kind, response.code);
  assertContent(response);
  const parsed = parseLinkFormatTolerantly(payload);
  const [first] = parsed.problems;
  if (first !== undefined) deps.remarks.add(`${kind} lookup is not valid link format (${first.reason})`);
  const uri = lookupUri(deps.found, kind);
  if (kind === "ep") deps.names.note(parsed.links, uri, false);
  const taken = parsed.links.filter((link) => refusalOf(kind, link, uri, deps) === null);
  const links = taken.map((link) => transcode(kind, link, uri, deps));
  const losses = lossesOf(deps, kind, parsed);
  const answer = { links, received: parsed.links.length, maxAgeS, bytes: payload.length, losses };
  return etag === undefined ? answer : { ...answer, etag };
}

/**
 * Of an RD that shows registrations of others, only its own are asked for (draft 4.4.2): others are upstreams themselves. Of a
 * lookup proxy that is followed as such, all.
 */
function ownItems(
  kind: LookupInterface,
  asked: readonly string[],
  { capabilities, found, names }: ForwardingDeps,
): string[] {
  if (found.isTier) return [...asked];
  const items = asked.map((item) => asNamedThere(kind, item, found, names));
  // First, because to some RDs the last criterion is the only one.
  if (kind === "ep") return [...(capabilities.hrefFilter === "yes" ? ["href=/*"] : []), ...items];
  return items.map((item) => (item === "provenance" && capabilities.provenance === "yes" ? "provenance=/*" : item));
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
function refusalOf(
  kind: LookupInterface,
  link: Link,
  uri: string,
  { capabilities, found, names }: ForwardingDeps,
): "no-name" | "other-authority" | null {
  if (kind === "ep" && !firstValue(link, "ep")) return "no-name";
  if (found.isTier) return null;
  if (kind === "ep") return names.placeOf(link, uri).kind === "elsewhere" ? "other-authority" : null;
  const provenance = capabilities.provenance === "yes" ? lastValue(link, "provenance") : undefined;
  return typeof provenance !== "string" || names.pathOf(provenance, uri) !== null ? null : "other-authority";
}

function lossesOf(deps: ForwardingDeps, kind: LookupInterface, parsed: TolerantParseResult): Losses {
  const losses = new LossCount();
  for (const [cause, { count, example }] of documentLosses(parsed, `the ${kind} lookup`))
    losses.add(cause, example, count);
  const uri = lookupUri(deps.found, kind);
  for (const link of parsed.links) {
    const cause = refusalOf(kind, link, uri, deps);
    if (cause === "no-name") losses.add(cause, `the entry <${link.target}> has no endpoint name`);
    // A node of this kind tells its own registrations from those of others, which are upstreams themselves (draft 4.4.2).
    if (cause !== "other-authority" || deps.found.isTributary) continue;
    const place = deps.names.placeOf(link, uri);
    losses.add(
      cause,
      "message" in place ? place.message : `a link of <${link.target}> is registered at another authority`,
    );
  }
  return losses.losses;
}

function transcode(
  kind: LookupInterface,
  link: Link,
  uri: string,
  { found, capabilities, names }: ForwardingDeps,
): Link {
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
    if (name === "lt-age" || name === "lt-remaining") return capabilities.lifetimeAge === "yes" ? [[name, value]] : [];
    return [[name, value]];
  });
  return { target: kind === "ep" ? registration(link.target) : absolute(link.target), attributes };
}

function originLength(uri: string): number {
  const path = uri.indexOf("/", uri.indexOf("//") + 2);
  return path < 0 ? uri.length : path;
}
