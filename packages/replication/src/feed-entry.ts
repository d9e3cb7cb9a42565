import { type Attribute, isAbsoluteUri, isPathAbsolute, type Link } from "@tributary/link-model";
import {
  DEFAULT_RECORD_LIMITS,
  FEDERATION_TOLERANCE_MS,
  findParameterFault,
  LT_AGE,
  LT_REMAINING,
  type RecordLimits,
  type Registration,
  takeLinks,
} from "@tributary/merge-engine";
import { atOnce } from "./at-once.js";
import { MAX_NODE_ID_LENGTH, MAX_ROUTE_NODES, RENEWED_MEMBER, VALUES_PER_STEP } from "./constants.js";
import type { EntryFault } from "./entry-fault.js";
import { isBareObject } from "./feed-operations.js";
import { lifetimeAgeS, reportedRenewal, type WallClock } from "./time/renewal-age.js";

/** The half of a registration that the endpoint feed carries. */
export type EndpointPart = Omit<Registration, "links">;

export type PartResult<T> =
  | {
      readonly ok: true;
      readonly value: T;
      /** Part of it is left out. */
      readonly flaw?: { readonly fault: EntryFault; readonly message: string };
    }
  | {
      readonly ok: false;
      readonly fault: EntryFault;
      readonly message: string;
      /** It is in order, but comes from this node. */
      readonly isOwn?: true;
    };

/** Proxies that a registration came through. Not a name that an attribute can have (RFC 8288 section 3). */
export const VIA_MEMBER = "@via";

/** Members of an endpoint entry that are not endpoint attributes. */
const RESERVED_MEMBERS: ReadonlySet<string> = new Set([
  "ep",
  "d",
  "base",
  "lt",
  LT_AGE,
  LT_REMAINING,
  VIA_MEMBER,
  RENEWED_MEMBER,
]);

/** JSON text of the entry of a registration in the endpoint feed. Pure. */
export function endpointEntryText(registration: Registration, nowMs: number, wallClock?: WallClock): string {
  const { ageS, renewedMs } = reportedRenewal(registration, nowMs, wallClock);
  let text = `{"ep":${JSON.stringify(registration.ep)}`;
  if (registration.d !== undefined) text += `,"d":${JSON.stringify(registration.d)}`;
  text += `,"base":${JSON.stringify(registration.base)}`;
  if (registration.ltMs !== undefined) text += `,"lt":${Math.floor(registration.ltMs / 1000)}`;
  text += `,"${LT_AGE}":${ageS}`;
  if (renewedMs !== undefined) text += `,"${RENEWED_MEMBER}":${renewedMs}`;
  if (registration.via !== undefined) text += `,"${VIA_MEMBER}":${JSON.stringify(registration.via)}`;
  return `${text}${attributesText(registration.attributes, RESERVED_MEMBERS)}}`;
}

/** JSON text of the times of an entry, in both forms that an entry may have. Pure. */
export function timesText(part: EndpointPart, nowMs: number): string {
  const remainingS = Math.max(0, Math.floor((part.expiresAtMs - nowMs) / 1000));
  const lt = part.ltMs === undefined ? "" : `"lt":${Math.floor(part.ltMs / 1000)},`;
  return `{${lt}"${LT_AGE}":${lifetimeAgeS(part, nowMs)},"${LT_REMAINING}":${remainingS}}`;
}

/** `con` is what the draft calls `base`; beside a `base` it is an endpoint attribute like any other. */
const RESERVED_WITHOUT_BASE: ReadonlySet<string> = new Set([...RESERVED_MEMBERS, "con"]);

const LINK_MEMBERS: ReadonlySet<string> = new Set(["href"]);

/** JSON text of the entry of a registration in the resource feed: its links. Pure. */
export function linksEntryText(registration: Pick<Registration, "links">): string {
  const links = registration.links.map(
    (link) => `{"href":${JSON.stringify(link.target)}${attributesText(link.attributes, LINK_MEMBERS)}}`,
  );
  return `[${links.join(",")}]`;
}

/** `,"name":value` for each attribute name in order; repeated names become an array at the place of the first. */
function attributesText(attributes: readonly Attribute[], except: ReadonlySet<string>): string {
  const values = new Map<string, (string | null)[]>();
  for (const [name, value] of attributes) {
    if (except.has(name)) continue;
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  let text = "";
  for (const [name, list] of values) {
    const items = list.map((value) => (value === null ? "true" : JSON.stringify(value)));
    text += `,${JSON.stringify(name)}:${items.length === 1 ? items[0] : `[${items.join(",")}]`}`;
  }
  return text;
}

/** Times of a record read at `receivedAtMs` (draft 5.2; design rule 1). */
export interface EntryContext {
  readonly receivedAtMs: number;
  /** Wall-clock time of the RD when it sent this; absent: not reported. */
  readonly stampMs?: number;
  readonly assumedLifetimeMs: number;
  readonly defaultSector?: string;
  readonly limits?: RecordLimits;
  /** The feed is that of a proxy, and tells what it has from elsewhere; absent: that of an RD. */
  readonly tier?: TierContext;
}

export interface TierContext {
  /** This node: what came through it already is left out. */
  readonly nodeId: string;
}

/** Read an entry of the endpoint feed. Pure. */
export function readEndpointEntry(href: string, entry: unknown, context: EntryContext): PartResult<EndpointPart> {
  const { tier } = context;
  const isPlace = isPathAbsolute(href) || (tier !== undefined && isAbsoluteUri(href));
  if (!isPlace) return refused(href, "is not a path on the RD", "other-authority");
  if (!isBareObject(entry)) return refused(href, "is not an object");
  const { ep, d } = entry;
  const base = entry.base ?? entry.con;
  if (typeof ep !== "string" || ep === "") return refused(href, "has no endpoint name", "no-name");
  if (typeof base !== "string" || base === "") return refused(href, "has no base", "no-base");
  if (d !== undefined && typeof d !== "string") return refused(href, "has a sector that is not a string");
  const attributes = readAttributes(entry, entry.base === undefined ? RESERVED_WITHOUT_BASE : RESERVED_MEMBERS);
  if (attributes === null) return refused(href, "has an attribute that is neither string, array nor true");
  const route = tier === undefined ? {} : readRoute(entry[VIA_MEMBER]);
  if (route === null) return refused(href, "has a route that is no list of nodes, or too long a one");
  if (tier !== undefined && route.via?.includes(tier.nodeId))
    return { ok: false, isOwn: true, fault: "malformed", message: "came from here" };
  const sector = d === undefined || d === context.defaultSector ? {} : { d };
  const problem = findParameterFault(
    { href, ep, ...(d === undefined ? {} : { d }), base, attributes },
    context.limits ?? DEFAULT_RECORD_LIMITS,
  );
  if (problem !== undefined) return refused(href, problem.message, problem.fault);
  return { ok: true, value: { href, ep, ...sector, base, attributes, ...route, ...readTimes(entry, context) } };
}

/** The proxies that it came through. A route is bounded, and so is what it may cost. */
function readRoute(value: unknown): Pick<Registration, "via"> | null {
  if (value === undefined) return {};
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ROUTE_NODES) return null;
  const isRoute = value.every((node) => typeof node === "string" && node !== "" && node.length <= MAX_NODE_ID_LENGTH);
  return isRoute ? { via: value as string[] } : null;
}

/** What an entry says about its lifetime, on the clock here. */
export type EntryTimes = Pick<Registration, "ltMs" | "renewedAtMs" | "expiresAtMs" | "expiry" | "stampMs">;

/** `lt` with `lt-age`, or with the later `lt-remaining` (AGE-05), in seconds. */
export function readTimes(entry: Readonly<Record<string, unknown>>, context: EntryContext): EntryTimes {
  const { receivedAtMs } = context;
  const lt = seconds(entry.lt);
  const remaining = seconds(entry[LT_REMAINING]);
  const age = seconds(entry[LT_AGE]) ?? (lt !== null && remaining !== null ? Math.max(0, lt - remaining) : null);
  const renewedAtMs = receivedAtMs - (age ?? 0) * 1000;
  const stamp = readStamp(entry[RENEWED_MEMBER], age, context.stampMs);
  if (lt === null) {
    const endMs = remaining === null ? renewedAtMs + context.assumedLifetimeMs : receivedAtMs + remaining * 1000;
    return { renewedAtMs, ...stamp, expiresAtMs: endMs, expiry: remaining === null ? "assumed" : "exact" };
  }
  // Without an age the record may be as young as its sighting, so its end is only an upper bound (design section 4).
  return {
    ltMs: lt * 1000,
    renewedAtMs,
    ...stamp,
    expiresAtMs: renewedAtMs + lt * 1000,
    expiry: age === null ? "assumed" : "exact",
  };
}

/** Wall-clock time of the renewal, which is no later than the entry was sent, except for the difference of clocks. */
function readStamp(reported: unknown, ageS: number | null, nowMs: number | undefined): Pick<Registration, "stampMs"> {
  if (nowMs === undefined) return {};
  if (typeof reported === "number" && Number.isFinite(reported))
    return { stampMs: Math.min(reported, nowMs + 2 * FEDERATION_TOLERANCE_MS) };
  if (ageS === null) return {};
  return { stampMs: (Math.round(nowMs * 1000) - Math.round(ageS * 1_000_000)) / 1000 };
}

/** Read an entry of the resource feed. Pure. */
export function readLinksEntry(href: string, entry: unknown, limits: RecordLimits): PartResult<readonly Link[]> {
  return atOnce(readLinksEntryInSteps(href, entry, limits));
}

/** The same in steps, where the links are many or large. */
export function* readLinksEntryInSteps(
  href: string,
  entry: unknown,
  limits: RecordLimits,
): Generator<void, PartResult<readonly Link[]>> {
  if (!Array.isArray(entry)) return refused(href, "is not an array of links");
  const links: Link[] = [];
  let looked = 0;
  for (const item of entry) {
    if (!isBareObject(item) || typeof item.href !== "string") return refused(href, "holds a link without href");
    const attributes = readAttributes(item, LINK_MEMBERS);
    if (attributes === null) return refused(href, "holds an attribute that is neither string, array nor true");
    links.push({ target: item.href, attributes });
    looked += 1 + attributes.length;
    if (looked < VALUES_PER_STEP) continue;
    looked = 0;
    yield;
  }
  const { links: taken, fault } = takeLinks(links, limits);
  const flaw = fault === undefined ? undefined : { fault: fault.fault, message: describe(href, fault.message) };
  if (taken === null) return refused(href, fault?.message ?? "", fault?.fault);
  return { ok: true, value: taken, ...(flaw === undefined ? {} : { flaw }) };
}

function readAttributes(entry: Readonly<Record<string, unknown>>, except: ReadonlySet<string>): Attribute[] | null {
  const attributes: Attribute[] = [];
  for (const [name, value] of Object.entries(entry)) {
    if (except.has(name)) continue;
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === true) attributes.push([name, null]);
      else if (typeof item === "string") attributes.push([name, item]);
      else return null;
    }
  }
  return attributes;
}

function seconds(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

function refused(
  href: string,
  what: string,
  fault: EntryFault = "malformed",
): { readonly ok: false; readonly fault: EntryFault; readonly message: string } {
  return { ok: false, fault, message: describe(href, what) };
}

const MAX_SHOWN_HREF = 200;

function describe(href: string, what: string): string {
  return `registration ${href.length > MAX_SHOWN_HREF ? `${href.slice(0, MAX_SHOWN_HREF)}…` : href} ${what}`;
}
