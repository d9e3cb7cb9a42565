import type { Link } from "@tributary/link-model";
import type { FeedPosition, Version } from "@tributary/replication";
import type { StoredCopy, StoredRegistration, StoredTimes } from "@tributary/upstream-sync";
import { isAttributes } from "./record-format.js";

type Replicated = StoredRegistration["registration"];
type StoredAttributes = readonly (readonly [string, string | null])[];

/** href, ep, d, base, attributes, links as target and attributes, ltMs, whether expiry is exact, and the route if there is one. */
type StoredContent = readonly [
  string,
  string,
  string | null,
  string,
  StoredAttributes,
  readonly (readonly [string, StoredAttributes])[],
  number | null,
  boolean,
  (readonly string[])?,
];

/** Encodes a copied registration. */
export function packCopied(registration: Replicated): StoredContent {
  const { href, ep, d = null, base, attributes, links, ltMs = null, expiry, via } = registration;
  const pairs = links.map((link) => [link.target, link.attributes] as const);
  const packed = [href, ep, d, base, attributes, pairs, ltMs, expiry === "exact"] as const;
  return via === undefined ? packed : [...packed, via];
}

/** Decodes a copied registration; undefined when it cannot be read. */
export function readCopied(value: unknown): Replicated | undefined {
  if (!Array.isArray(value) || value.length < 8 || value.length > 9) return undefined;
  const [href, ep, d, base, attributes, links, ltMs, isExact, via] = value;
  const isReadable =
    [href, ep, base].every((text) => typeof text === "string") &&
    (d === null || typeof d === "string") &&
    isAttributes(attributes) &&
    isLinks(links) &&
    (ltMs === null || Number.isFinite(ltMs)) &&
    (via === undefined || isRoute(via));
  if (!isReadable) return undefined;
  return {
    href,
    ep,
    ...(d === null ? {} : { d }),
    base,
    attributes,
    links: links.map(([target, own]: readonly [string, StoredAttributes]): Link => ({ target, attributes: own })),
    ...(ltMs === null ? {} : { ltMs }),
    expiry: isExact === true ? "exact" : "assumed",
    ...(via === undefined ? {} : { via }),
  };
}

/** Decodes the times of a registration; undefined when they cannot be read. */
export function readTimes(value: unknown): StoredTimes | undefined {
  if (!Array.isArray(value) || value.length < 2 || value.length > 3 || !value.every(Number.isFinite)) return undefined;
  const [renewedAtWallMs, expiresAtWallMs, stampMs] = value as [number, number, number?];
  return { renewedAtWallMs, expiresAtWallMs, ...(stampMs === undefined ? {} : { stampMs }) };
}

/** The record of an upstream. */
export interface StoredUpstream extends StoredCopy {
  readonly position?: FeedPosition;
}

/** Decodes the record of an upstream; undefined when it cannot be read. */
export function readUpstream(value: unknown): StoredUpstream | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { settings, authority, isComplete, position } = value as { [name in keyof StoredUpstream]?: unknown };
  if (typeof settings !== "string" || typeof authority !== "string" || typeof isComplete !== "boolean")
    return undefined;
  const { ep, res } = (position ?? {}) as { [name in keyof FeedPosition]?: unknown };
  return { settings, authority, isComplete, ...(isVersion(ep) && isVersion(res) ? { position: { ep, res } } : {}) };
}

function isVersion(value: unknown): value is Version {
  if (typeof value !== "object" || value === null) return false;
  const { epoch, counter } = value as { [name in keyof Version]?: unknown };
  return Number.isSafeInteger(epoch) && Number.isSafeInteger(counter);
}

function isRoute(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((node) => typeof node === "string");
}

function isLinks(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (pair) => Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" && isAttributes(pair[1]),
    )
  );
}
