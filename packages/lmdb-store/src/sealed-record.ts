import { createHash } from "node:crypto";

/*
 * A record on disk is a checksum, the first bytes of a SHA-256 over key and content, followed by the content as JSON. A record
 * under a wrong key fails the check, as does one with changed content.
 */

const SEAL_BYTES = 8;
/** Version of the record format. It is part of the checksum, so that a record of another version fails the check. */
export const FORMAT = 2;

/** Encodes a record with `content` under `key`. */
export function sealRecord(key: Uint8Array, content: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(content), "utf8");
  return Buffer.concat([sealOf(key, text), text]);
}

/** Verifies a record and returns its content as JSON text; undefined when record or key have changed since it was written. */
export function unsealRecord(key: Uint8Array, record: Uint8Array): string | undefined {
  if (record.length <= SEAL_BYTES) return undefined;
  const text = record.subarray(SEAL_BYTES);
  if (sealOf(key, text).compare(record, 0, SEAL_BYTES) !== 0) return undefined;
  return Buffer.from(text.buffer, text.byteOffset, text.length).toString("utf8");
}

function sealOf(key: Uint8Array, text: Uint8Array): Buffer {
  const length = Buffer.alloc(8);
  length.writeUInt32LE(FORMAT, 4);
  length.writeUInt32LE(key.length);
  return createHash("sha256").update(length).update(key).update(text).digest().subarray(0, SEAL_BYTES);
}
