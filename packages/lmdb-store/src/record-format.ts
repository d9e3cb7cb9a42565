import type { LogPosition } from "@tributary/replication";
import type { StoredRegistration } from "@tributary/resource-directory";

/*
 * Records are arrays whose members are identified by position, so that no names are stored. A change of their meaning requires a
 * new format version.
 */

/** ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple, stampMs or null, and isProxied; the last two may be absent. */
type RegistrationRecord = readonly [
  string,
  string | null,
  string,
  boolean,
  number,
  readonly (readonly [string, string | null])[],
  string,
  number,
  string | null,
  boolean,
  (number | null)?,
  boolean?,
];

/** Encodes a registration. */
export function packRegistration(registration: StoredRegistration): RegistrationRecord {
  const {
    ep,
    d = null,
    base,
    isBaseExplicit,
    ltS,
    attributes,
    links,
    renewedAtWallMs,
    zone = null,
    isSimple,
    stampMs,
    isProxied,
  } = registration;
  const packed = [ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple] as const;
  if (isProxied === true) return [...packed, stampMs ?? null, true];
  return stampMs === undefined ? packed : [...packed, stampMs];
}

/** Decodes a registration. */
export function unpackRegistration(id: string, record: RegistrationRecord): StoredRegistration {
  const [ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple, ...more] = record;
  const [stampMs = null, isProxied = false] = more;
  return {
    id,
    ep,
    ...(d === null ? {} : { d }),
    base,
    isBaseExplicit,
    ltS,
    attributes,
    links,
    renewedAtWallMs,
    ...(zone === null ? {} : { zone }),
    isSimple,
    ...(stampMs === null ? {} : { stampMs }),
    ...(isProxied ? { isProxied } : {}),
  };
}

/** Whether a decoded value is a registration record. */
export function isRegistrationRecord(value: unknown): value is RegistrationRecord {
  if (!Array.isArray(value) || value.length < 10 || value.length > 12) return false;
  const [ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple, ...more] = value;
  const [stampMs = null, isProxied = false] = more;
  return (
    [ep, base, links].every((text) => typeof text === "string") &&
    [d, zone].every((text) => text === null || typeof text === "string") &&
    [isBaseExplicit, isSimple, isProxied].every((flag) => typeof flag === "boolean") &&
    [ltS, renewedAtWallMs, stampMs ?? 0].every((number) => Number.isFinite(number)) &&
    isAttributes(attributes)
  );
}

/** Whether a decoded value is a list of attributes. */
export function isAttributes(value: unknown): value is readonly (readonly [string, string | null])[] {
  return (
    Array.isArray(value) &&
    value.every(
      (pair) =>
        Array.isArray(pair) &&
        pair.length === 2 &&
        typeof pair[0] === "string" &&
        (pair[1] === null || typeof pair[1] === "string"),
    )
  );
}

/** created, ep, res, renewed, isRemoved, cameBack. */
type PositionRecord = readonly [number, number, number, number, boolean, boolean];

/** Encodes a position of the change log. */
export function packPosition({ created, ep, res, renewed, isRemoved, cameBack }: LogPosition): PositionRecord {
  return [created, ep, res, renewed, isRemoved, cameBack];
}

/** Decodes the stored position of `href`; undefined when it cannot be read. */
export function readPosition(href: string, value: unknown): LogPosition | undefined {
  if (!Array.isArray(value) || value.length !== 6) return undefined;
  const [created, ep, res, renewed, isRemoved, cameBack] = value;
  if (![created, ep, res, renewed].every((counter) => Number.isSafeInteger(counter) && counter >= 0)) return undefined;
  return { href, created, ep, res, renewed, isRemoved: isRemoved === true, cameBack: cameBack === true };
}
