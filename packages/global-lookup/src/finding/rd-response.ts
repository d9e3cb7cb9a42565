import { type ClientResponse, CODE, CONTENT_FORMAT, leadsAstray } from "@tributary/coap-transport";
import { firstValue, type Link, parseLinkFormat, resolveReference, valuesOf } from "@tributary/link-model";
import { MAX_LINKS } from "../constants.js";
import { checkProof, isKeyName, PROOF_ATTRIBUTE, type Proven } from "../record/endpoint-proof.js";

/** What an RD has of a name. */
export interface RdResult {
  /** Its registrations, with absolute references; empty: it has none. */
  readonly links: readonly Link[];
  readonly maxAgeS: number;
}

/** Whose response it is, and to which lookup. */
export interface AskedRd {
  readonly uri: string;
  readonly name: string;
  /** Public key of the RD. */
  readonly announcer: Uint8Array;
  /** Seconds since the Unix epoch. */
  readonly nowS: number;
}

/**
 * Reads the response of the RD at `uri` to an endpoint lookup of `name`. Registrations of other names are left out, and those that would
 * lead a client to services of its own host or link, and those under the name of a key without its proof. null: it is no response
 * to such a lookup; `expired`: the proofs of the registrations have ended. Pure.
 */
export function readRdResponse(response: ClientResponse, asked: AskedRd): RdResult | "expired" | null {
  const { uri, name } = asked;
  const { code, contentFormat, payload, maxAgeS } = response;
  if (code !== CODE.CONTENT || (contentFormat ?? CONTENT_FORMAT.LINK_FORMAT) !== CONTENT_FORMAT.LINK_FORMAT)
    return null;
  const parsed = parseLinkFormat(payload);
  if (!parsed.ok) return null;
  const named = parsed.links.filter((link) => firstValue(link, "ep") === name).slice(0, MAX_LINKS);
  const proven = new Map(named.map((link) => [link, isKeyName(name) ? provenBy(link, asked) : "yes"]));
  // Its RD cannot know when a proof ends that it does not read.
  if (named.length > 0 && named.every((link) => proven.get(link) === "expired")) return "expired";
  const links = named
    .filter((link) => proven.get(link) === "yes")
    .map((link) => ({ ...link, target: resolveReference(uri, link.target) }))
    .filter((link) => isFollowable(link, uri));
  return links.length === 0 && parsed.links.length > 0 ? null : { links, maxAgeS };
}

function provenBy(link: Link, asked: AskedRd): Proven {
  return checkProof(asked.name, firstValue(link, PROOF_ATTRIBUTE), asked);
}

/** Whether a registration at the RD at `uri` leads clients nowhere where they could not go by themselves. Pure. */
export function isFollowable(link: Link, uri: string): boolean {
  const bases = valuesOf(link, "base");
  if (bases.length !== 1) return false;
  const alternatives = valuesOf(link, "at").flatMap((value) => (value ?? "").split(" "));
  return [link.target, bases[0] ?? "", ...alternatives].every(
    (one) => !/^coap/i.test(one) || leadsAstray(uri, one) === null,
  );
}
