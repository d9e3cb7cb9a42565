import { checkLimitedLinkFormat, type Link, parseLinkFormat, resolveLink } from "@tributary/link-model";
import { fitsPatch } from "@tributary/replication";
import { accepted, type Result, refused } from "../refusal.js";
import type { RegistrationLimits } from "../types.js";

/** The links of a registration as the endpoint wrote them. */
export interface RegistrationDocument {
  readonly text: string;
  readonly links: readonly Link[];
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Read the links of a registration: limited link format (RFC 9176 appendix C), within the limits. Pure. */
export function readDocument(payload: Uint8Array, limits: RegistrationLimits): Result<RegistrationDocument> {
  if (payload.length > limits.registrationBytes) {
    return refused("too-large", `a registration may have ${limits.registrationBytes} bytes of links`);
  }
  if (payload.length === 0) return accepted({ text: "", links: [] });
  let text: string;
  try {
    text = UTF8.decode(payload);
  } catch {
    return refused("bad-request", "the links are not UTF-8");
  }
  const parsed = parseLinkFormat(text);
  if (!parsed.ok) return refused("bad-request", `not link format at ${parsed.error.offset}: ${parsed.error.message}`);
  if (parsed.links.length > limits.links) return refused("too-large", `a registration may have ${limits.links} links`);
  if (!fitsPatch(parsed.links, payload.length, limits))
    return refused("too-large", "the links have more bytes than proxies take, resolved and as JSON");
  const problem = checkLimitedLinkFormat(parsed.links);
  return problem === undefined ? accepted({ text, links: parsed.links }) : refused("bad-request", problem);
}

/**
 * Links as lookups show them (RFC 9176 section 6.1). Provenance is what the RD says about a link (draft 5.1), so one that
 * comes from the endpoint is left out: it would be a forgery. Pure.
 */
export function resolveDocument(base: string, links: readonly Link[]): Link[] {
  return links.map((link) => {
    const { target, attributes } = resolveLink(base, link);
    const isForged = attributes.some(([name]) => name === "provenance");
    return { target, attributes: isForged ? attributes.filter(([name]) => name !== "provenance") : attributes };
  });
}
