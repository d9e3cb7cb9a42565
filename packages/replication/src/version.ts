import { COUNTER_LIMIT, EPOCH_LIMIT } from "./constants.js";
import { ReplicationError } from "./errors.js";

/**
 * Position in the history of an RD, written `<epoch>-<n>` in hexadecimal. Both feeds of an RD count in the same history.
 * `epoch` (24 bits) changes when the RD loses its history; `counter` (40 bits) grows by one with every change.
 */
export interface Version {
  readonly epoch: number;
  readonly counter: number;
}

const VERSION_TEXT = /^([0-9a-f]{1,6})-([0-9a-f]{1,10})$/;

/** `<epoch>-<n>` in lower-case hexadecimal, e.g. `1f03a9-2b`. Pure. */
export function formatVersion(version: Version): string {
  return `${version.epoch.toString(16)}-${version.counter.toString(16)}`;
}

/** The version written as `text`, or null when it is not one. Pure. */
export function parseVersion(text: unknown): Version | null {
  if (typeof text !== "string") return null;
  const match = VERSION_TEXT.exec(text);
  if (match === null) return null;
  return { epoch: Number.parseInt(match[1] as string, 16), counter: Number.parseInt(match[2] as string, 16) };
}

/** The version as an entity tag (RFC 7252 section 5.10.6): 3 bytes of epoch, 5 of counter, big-endian. Pure. */
export function versionToETag(version: Version): Uint8Array {
  assertVersion(version);
  const tag = new Uint8Array(8);
  writeBigEndian(tag, 0, 3, version.epoch);
  writeBigEndian(tag, 3, 5, version.counter);
  return tag;
}

/** The version in an entity tag, or null when the tag has another length. Pure. */
export function versionFromETag(tag: Uint8Array): Version | null {
  if (tag.length !== 8) return null;
  return { epoch: readBigEndian(tag, 0, 3), counter: readBigEndian(tag, 3, 5) };
}

/** @throws {ReplicationError} `BAD_VERSION` */
export function assertVersion(version: Version): void {
  const { epoch, counter } = version;
  if (!isBelow(epoch, EPOCH_LIMIT) || !isBelow(counter, COUNTER_LIMIT)) {
    throw new ReplicationError("BAD_VERSION", `not a version: epoch ${epoch}, counter ${counter}`);
  }
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

function writeBigEndian(into: Uint8Array, offset: number, length: number, value: number): void {
  let rest = value;
  for (let index = offset + length - 1; index >= offset; index--) {
    into[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function readBigEndian(from: Uint8Array, offset: number, length: number): number {
  let value = 0;
  for (let index = offset; index < offset + length; index++) value = value * 256 + (from[index] as number);
  return value;
}
