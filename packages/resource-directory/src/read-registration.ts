import type { Attribute } from "@tributary/link-model";
import { MAX_LIFETIME_S } from "./constants.js";
import type { StoredRegistration } from "./stored-registration.js";

type Fields = Readonly<Record<keyof StoredRegistration, unknown>>;

/** Reads a registration that was kept as JSON; undefined: it is damaged, or not one. Members that are not known are left out. Pure. */
export function readStoredRegistration(value: unknown): StoredRegistration | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { id, ep, d, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, ...more } = value as Fields;
  const { stampMs, zone, isSimple, isProxied } = more;
  const isValid =
    isText(id) &&
    isText(ep) &&
    isOptional(d, isText) &&
    isText(base) &&
    typeof isBaseExplicit === "boolean" &&
    isLifetime(ltS) &&
    isAttributes(attributes) &&
    isText(links) &&
    Number.isFinite(renewedAtWallMs) &&
    isOptional(stampMs, Number.isFinite) &&
    isOptional(zone, isText) &&
    typeof isSimple === "boolean" &&
    isOptional(isProxied, (flag) => flag === true);
  if (!isValid) return undefined;
  return {
    ...{ id, ep, base, isBaseExplicit, ltS, attributes, links, renewedAtWallMs, isSimple },
    ...(d === undefined ? {} : { d }),
    ...(stampMs === undefined ? {} : { stampMs }),
    ...(zone === undefined ? {} : { zone }),
    ...(isProxied === undefined ? {} : { isProxied }),
  } as StoredRegistration;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isOptional(value: unknown, isRight: (value: unknown) => boolean): boolean {
  return value === undefined || isRight(value);
}

function isLifetime(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_LIFETIME_S;
}

function isAttributes(value: unknown): value is readonly Attribute[] {
  const isOne = (one: unknown): boolean =>
    Array.isArray(one) && one.length === 2 && isText(one[0]) && (one[1] === null || isText(one[1]));
  return Array.isArray(value) && value.every(isOne);
}
