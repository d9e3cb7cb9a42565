import type { CoapClient } from "@tributary/coap-transport";
import {
  type Attribute,
  isAbsoluteUri,
  type Link,
  lastValue,
  parseLinkFormatTolerantly,
  resolveReference,
} from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { assertContent, type Discovered, get } from "./discovery.js";
import type { UpstreamError } from "./errors.js";
import { localPath } from "./foreign-documents.js";
import type { CapabilityReport, ForwardedAnswer } from "./types.js";

export interface ForwardingDeps {
  readonly client: CoapClient;
  readonly found: Discovered;
  readonly capabilities: CapabilityReport;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Put a lookup to the RD itself (draft 4.2), with one retry, and transcode the answer: its references are relative to the
 * RD and would change their meaning here. @throws {UpstreamError}
 */
export async function forwardLookup(
  deps: ForwardingDeps,
  kind: LookupInterface,
  items: readonly string[],
): Promise<ForwardedAnswer> {
  const uri = kind === "ep" ? deps.found.endpointLookup : deps.found.resourceLookup;
  const ask = () => get(deps.client, uri, ownItems(kind, items, deps), deps.timeoutMs, deps.signal);
  const response = await ask().catch((error: UpstreamError) => {
    if (deps.signal.aborted) throw error;
    return ask();
  });
  assertContent(response);
  const received = parseLinkFormatTolerantly(response.payload).links;
  const links = received.filter((link) => isOwn(kind, link, uri, deps)).map((link) => transcode(link, uri, deps));
  return { links, received: received.length, maxAgeS: response.maxAgeS };
}

/** Of an RD that shows registrations of others, only its own are asked for (draft 4.4.2): others are upstreams themselves. */
function ownItems(kind: LookupInterface, items: readonly string[], { capabilities }: ForwardingDeps): string[] {
  if (kind === "ep") return [...items, ...(capabilities.hrefFilter === "yes" ? ["href=/*"] : [])];
  return items.map((item) => (item === "provenance" && capabilities.provenance === "yes" ? "provenance=/*" : item));
}

function isOwn(kind: LookupInterface, link: Link, uri: string, { capabilities }: ForwardingDeps): boolean {
  if (kind === "ep") return localPath(link.target, uri) !== null;
  const provenance = capabilities.provenance === "yes" ? lastValue(link, "provenance") : undefined;
  return typeof provenance !== "string" || localPath(provenance, uri) !== null;
}

function transcode(link: Link, uri: string, { found, capabilities }: ForwardingDeps): Link {
  const absolute = (reference: string) =>
    isAbsoluteUri(reference) ? reference : found.authority + resolveReference(uri, reference).slice(originLength(uri));
  const attributes = link.attributes.flatMap(([name, value]): Attribute[] => {
    if (name === "anchor" && value !== null) return [[name, absolute(value)]];
    // What the RD does not generate itself was put there by a client (PRV-06).
    if (name === "provenance")
      return capabilities.provenance === "yes" && value !== null ? [[name, absolute(value)]] : [];
    if (name === "lt-age" || name === "lt-remaining") return capabilities.lifetimeAge === "yes" ? [[name, value]] : [];
    return [[name, value]];
  });
  return { target: absolute(link.target), attributes };
}

function originLength(uri: string): number {
  const path = uri.indexOf("/", uri.indexOf("//") + 2);
  return path < 0 ? uri.length : path;
}
