import { type Attribute, serialiseLink } from "@tributary/link-model";
import { LT_AGE, LT_REMAINING } from "@tributary/merge-engine";
import { MAX_LIFETIME_S, MAX_NAME_BYTES } from "../constants.js";
import { accepted, type Result, refused } from "../refusal.js";
import { FORWARDED_BASE } from "./registration-base.js";

/** The query of a registration or update (RFC 9176 sections 5 and 5.3.1), checked. */
export interface RegistrationParameters {
  readonly ep?: string;
  readonly d?: string;
  readonly ltS?: number;
  /** As given; whether it may be a base is decided with the source address at hand. */
  readonly base?: string;
  /** Where a forwarded request came from; counts where there is no `base`. */
  readonly forwardedBase?: string;
  /** `proxy`: the RD relays requests over the connection that this one came by (draft 6.3). */
  readonly isProxied?: true;
  /** `et` and extension parameters, in order. */
  readonly attributes: readonly Attribute[];
}

/**
 * Names that lookups give a meaning of their own (REG-20), or that would be taken for reports of the RD about itself. All others
 * that mean nothing here are stored and shown (RFC 9176 section 5).
 */
const REFUSED_NAMES: ReadonlySet<string> = new Set([
  "page",
  "count",
  "href",
  "anchor",
  "rt",
  "if",
  "rel",
  LT_AGE,
  LT_REMAINING,
  "provenance",
]);

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Read the query items of a registration or update. `maxAttributes` bounds `et` and extensions together; `hasProxy`: this RD understands
 * `proxy`, which is an extension like others elsewhere. Pure.
 */
export function parseRegistrationParameters(
  items: readonly string[],
  maxAttributes: number,
  hasProxy = false,
): Result<RegistrationParameters> {
  const found: OwnParameters = {};
  let isProxied = false;
  const attributes: Attribute[] = [];
  for (const item of items) {
    if (item === "") continue;
    const equals = item.indexOf("=");
    const name = equals < 0 ? item : item.slice(0, equals);
    const value = equals < 0 ? null : item.slice(equals + 1);
    if (hasProxy && name === "proxy") {
      if (value !== null && value !== "yes") return refused("bad-request", "proxy takes no value but yes");
      isProxied = true;
      continue;
    }
    const problem = isOwnName(name)
      ? readOwn(found, name, value)
      : readAttribute(attributes, name, value, maxAttributes);
    if (problem !== undefined) return refused("bad-request", problem);
  }
  if (isProxied && (found.base !== undefined || found.forwardedBase !== undefined))
    return refused("bad-request", "a directory that proxies gives a base of its own; leave out base, or proxy");
  return accepted({ ...found, ...(isProxied ? { isProxied } : {}), attributes });
}

type OwnParameters = { ep?: string; d?: string; ltS?: number; base?: string; forwardedBase?: string };

const OWN_FIELDS = {
  ep: "ep",
  d: "d",
  lt: "ltS",
  base: "base",
  [FORWARDED_BASE]: "forwardedBase",
} as const satisfies Record<string, keyof OwnParameters>;

type OwnName = keyof typeof OWN_FIELDS;

function isOwnName(name: string): name is OwnName {
  return Object.hasOwn(OWN_FIELDS, name);
}

function readOwn(found: OwnParameters, name: OwnName, value: string | null): string | undefined {
  const field = OWN_FIELDS[name];
  if (found[field] !== undefined) return `${name} is given twice`;
  if (value === null || value === "") return `${name} has no value`;
  if (field === "ltS") {
    const ltS = parseLifetime(value);
    if (ltS === null) return `lt is not a whole number of seconds from 1 to ${MAX_LIFETIME_S}`;
    found.ltS = ltS;
    return undefined;
  }
  const problem = field === "base" || field === "forwardedBase" ? undefined : checkName(name, value);
  if (problem === undefined) found[field] = value;
  return problem;
}

/** RFC 9176 section 5: 1 to 2^32-1 seconds; leading zeros are tolerated, signs and blanks are not. */
function parseLifetime(text: string): number | null {
  if (!/^[0-9]+$/.test(text)) return null;
  const seconds = Number(text);
  return seconds >= 1 && seconds <= MAX_LIFETIME_S ? seconds : null;
}

/** RFC 9176 section 5: at most 63 bytes, no control characters. */
function checkName(name: string, value: string): string | undefined {
  if (Buffer.byteLength(value) > MAX_NAME_BYTES) return `${name} is longer than ${MAX_NAME_BYTES} bytes`;
  return CONTROL.test(value) ? `${name} holds a control character` : undefined;
}

function readAttribute(
  attributes: Attribute[],
  name: string,
  value: string | null,
  maxAttributes: number,
): string | undefined {
  if (REFUSED_NAMES.has(name)) return `${name} cannot be a registration parameter here`;
  if (attributes.length >= maxAttributes) return `more than ${maxAttributes} endpoint attributes`;
  const attribute: Attribute = [name, value];
  if (!isExpressible(attribute)) return "a parameter cannot be written as a link attribute";
  attributes.push(attribute);
  return undefined;
}

/** Lookups show endpoint attributes in link format, which cannot write every name and value. */
function isExpressible(attribute: Attribute): boolean {
  if (attribute[0].endsWith("*") || CONTROL.test(attribute[1] ?? "")) return false;
  try {
    serialiseLink({ target: "/", attributes: [attribute] });
    return true;
  } catch {
    return false;
  }
}
