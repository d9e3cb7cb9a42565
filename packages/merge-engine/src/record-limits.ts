import {
  type Attribute,
  checkBase,
  isAbsoluteUri,
  type Link,
  leastAttributeBytes,
  leastLinkBytes,
} from "@tributary/link-model";
import type { Registration } from "./types.js";

/** Limits of one registration, whether it is made here or comes from an upstream. */
export interface RecordLimits {
  /** Link-format payload as submitted, bytes. */
  readonly registrationBytes: number;
  readonly links: number;
  /** Endpoint attributes besides `ep`, `d`, `lt` and `base`. */
  readonly attributes: number;
}

/** Default limits of one registration. */
export const DEFAULT_RECORD_LIMITS: RecordLimits = { registrationBytes: 65_536, links: 4096, attributes: 64 };

/** Why a registration of an upstream, or a part of it, is left out. */
export interface RecordFault {
  readonly fault: "malformed" | "relative-target" | "beyond-limits";
  /** Follows the name of the registration in a sentence. */
  readonly message: string;
}

/** Longest registration parameter, bytes (Uri-Query, RFC 7252 section 5.10), and longest path of a registration resource. */
const MAX_PARAMETER_BYTES = 255;
const MAX_HREF_LENGTH = 1024;

/** Parameters of a registration as an upstream reports them. */
export type ReportedParameters = Pick<Registration, "href" | "ep" | "d" | "attributes"> & { readonly base?: string };

/** Returns what is wrong with the parameters of a registration of an upstream; undefined: nothing. Pure. */
export function findParameterFault(
  { href, ep, d, base, attributes }: ReportedParameters,
  limits: RecordLimits,
): RecordFault | undefined {
  if (href.length > MAX_HREF_LENGTH)
    return beyond(`has a resource with a name of more than ${MAX_HREF_LENGTH} characters`);
  if (leastLinkBytes({ target: href, attributes: [] }) === undefined) return malformed("has a resource that is no URI");
  const problem = base === undefined ? undefined : checkBase(base);
  if (problem !== undefined) return malformed(`cannot be shown: ${problem}`);
  if (attributes.length > limits.attributes) return beyond(`has more than ${limits.attributes} attributes`);
  const own: Attribute[] = [["ep", ep]];
  if (d !== undefined) own.push(["d", d]);
  if (base !== undefined) own.push(["base", base]);
  for (const attribute of [...own, ...attributes]) {
    const bytes = leastAttributeBytes(attribute);
    if (bytes === undefined) return malformed("has a parameter that link format cannot express");
    if (bytes > MAX_PARAMETER_BYTES + 1) return beyond(`has a parameter of more than ${MAX_PARAMETER_BYTES} bytes`);
  }
  return undefined;
}

/** Links of a registration within the limits, and what was left out. */
export interface TakenLinks {
  /** Links that are shown; null: the registration is left out. */
  readonly links: readonly Link[] | null;
  /** Why the registration, or some of its links, are left out. */
  readonly fault?: RecordFault;
}

/**
 * Returns the links of a registration of an upstream that can be shown. Links that link format cannot express, and links with a
 * target or anchor that is no absolute URI, are left out; beyond the limits the whole registration is. Pure.
 */
export function takeLinks(links: readonly Link[], limits: RecordLimits): TakenLinks {
  if (links.length > limits.links) return { links: null, fault: beyond(`has more than ${limits.links} links`) };
  const taken: Link[] = [];
  let bytes = Math.max(0, links.length - 1);
  let fault: RecordFault | undefined;
  for (const link of links) {
    const linkBytes = leastLinkBytes(link);
    bytes += linkBytes ?? 0;
    if (bytes > limits.registrationBytes)
      return { links: null, fault: beyond(`has more than ${limits.registrationBytes} bytes of links`) };
    if (linkBytes === undefined) fault ??= malformed("has a link that link format cannot express");
    else if (isAbsoluteLink(link)) taken.push(link);
    else fault ??= { fault: "relative-target", message: "has a link whose target or anchor is no absolute URI" };
  }
  return fault === undefined ? { links } : { links: taken, fault };
}

function isAbsoluteLink({ target, attributes }: Link): boolean {
  return isAbsoluteUri(target) && attributes.every(([name, value]) => name !== "anchor" || isAbsoluteUri(value ?? ""));
}

function malformed(message: string): RecordFault {
  return { fault: "malformed", message };
}

function beyond(message: string): RecordFault {
  return { fault: "beyond-limits", message };
}
