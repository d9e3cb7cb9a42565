import type { LogPosition } from "@tributary/replication";
import type { StoredRegistration } from "@tributary/resource-directory";

/*
 * Records are arrays, packed by MessagePack: members by place, so that neither names nor shared structures have to be kept
 * with them. A change of their meaning is a new format.
 */

/** ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple; stampMs, if it was told. */
type KeptRegistration = readonly [
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
  number?,
];

export function packRegistration(registration: StoredRegistration): KeptRegistration {
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
  } = registration;
  const packed = [ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple] as const;
  return stampMs === undefined ? packed : [...packed, stampMs];
}

export function unpackRegistration(id: string, kept: KeptRegistration): StoredRegistration {
  const [ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple, stampMs] = kept;
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
    ...(stampMs === undefined ? {} : { stampMs }),
  };
}

export function isKeptRegistration(value: unknown): value is KeptRegistration {
  if (!Array.isArray(value) || value.length < 10 || value.length > 11) return false;
  const [ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, zone, isSimple, stampMs = 0] = value;
  return (
    [ep, base, links].every((text) => typeof text === "string") &&
    [d, zone].every((text) => text === null || typeof text === "string") &&
    [isBaseExplicit, isSimple].every((flag) => typeof flag === "boolean") &&
    [ltS, renewedAtWallMs, stampMs].every((number) => Number.isFinite(number)) &&
    isAttributes(attributes)
  );
}

/** Whether a value is a list of attributes. */
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
type KeptPosition = readonly [number, number, number, number, boolean, boolean];

export function packPosition({ created, ep, res, renewed, isRemoved, cameBack }: LogPosition): KeptPosition {
  return [created, ep, res, renewed, isRemoved, cameBack];
}

/** The position kept for `href`, or undefined when there is none that can be read. */
export function readPosition(href: string, value: unknown): LogPosition | undefined {
  if (!Array.isArray(value) || value.length !== 6) return undefined;
  const [created, ep, res, renewed, isRemoved, cameBack] = value;
  if (![created, ep, res, renewed].every((counter) => Number.isSafeInteger(counter) && counter >= 0)) return undefined;
  return { href, created, ep, res, renewed, isRemoved: isRemoved === true, cameBack: cameBack === true };
}
