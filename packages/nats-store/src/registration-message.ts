import { createHmac, type KeyObject, hash as oneHash } from "node:crypto";
import { MAX_DORMANT_MS, readStoredRegistration, type StoredRegistration } from "@tributary/resource-directory";
import { GRACE_S } from "./constants.js";

/** Format of the payload; another one is left out. */
const FORMAT = 1;
const MAX_LIFETIME_S = 4_294_967_295;
const HASH = /^[0-9a-f]{32}$/;

/** Last token of the subject of a registration: one for each (ep, d), of a form that every name can have. Pure. */
export function endpointHash({ ep, d }: Pick<StoredRegistration, "ep" | "d">): string {
  // A name may have any character, but an absent sector differs from an empty one.
  return oneHash("sha256", JSON.stringify(d === undefined ? [ep] : [ep, d]), "hex").slice(0, 32);
}

/** Last path segment of the registration with this hash: a UUID (RFC 9562 section 5.8) that is the same at every instance. Pure. */
export function locationOf(secret: KeyObject, hash: string): string {
  const bytes = createHmac("sha256", secret).update(hash).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The hash in a subject `<prefix>.reg.<hash>`; undefined: it is another one. Pure. */
export function hashOfSubject(prefix: string, subject: string): string | undefined {
  const start = `${prefix}.reg.`;
  const hash = subject.startsWith(start) ? subject.slice(start.length) : "";
  return HASH.test(hash) ? hash : undefined;
}

/** Subject of the registration of an endpoint. Pure. */
export function subjectOf(prefix: string, endpoint: Pick<StoredRegistration, "ep" | "d">): string {
  return `${prefix}.reg.${endpointHash(endpoint)}`;
}

/** Time after which the servers may forget a registration, s: nobody can revive it any more (RFC 9176 section 5.3.3). Pure. */
export function timeToLiveS({ ltS }: Pick<StoredRegistration, "ltS">): number {
  return Math.min(MAX_LIFETIME_S, Math.ceil(ltS + Math.min(ltS, MAX_DORMANT_MS / 1000) + GRACE_S));
}

/**
 * Writes a registration. Its id follows from its name, and the stream says when it was renewed, unless that was `ageMs` before the stream
 * takes it. Pure.
 */
export function encodeRegistration(registration: StoredRegistration, ageMs = 0): Uint8Array {
  const { id: _, renewedAtWallMs: __, ...content } = registration;
  return new TextEncoder().encode(JSON.stringify({ v: FORMAT, ...content, ...(ageMs > 0 ? { ageMs } : {}) }));
}

/**
 * Reads a registration that is written under `hash`; undefined: it is damaged, or not one. `times`: where it is and when the stream
 * took it. Pure.
 */
export function decodeRegistration(
  payload: Uint8Array,
  hash: string,
  times: { readonly id: string; readonly storedAtWallMs: number },
): StoredRegistration | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || (value as Fields).v !== FORMAT) return undefined;
  const { ageMs = 0 } = value as Fields;
  if (typeof ageMs !== "number" || !(ageMs >= 0 && Number.isFinite(ageMs))) return undefined;
  const { id, storedAtWallMs } = times;
  const registration = readStoredRegistration({ ...value, id, renewedAtWallMs: storedAtWallMs - ageMs });
  return registration !== undefined && endpointHash(registration) === hash ? registration : undefined;
}

interface Fields {
  readonly v?: unknown;
  readonly ageMs?: unknown;
}
