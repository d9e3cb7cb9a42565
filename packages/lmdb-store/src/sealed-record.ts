import { createHash } from "node:crypto";

/*
 * A record on disk: the first bytes of a SHA-256 over its key and its content, then the content as JSON. A record under a key
 * that is not its own fails like one whose content was changed.
 */

const SEAL_BYTES = 8;
/** Version of the format of the records: one of another version fails like one that is damaged. */
export const FORMAT = 2;

/** The bytes of a record that holds `content` under `key`. */
export function sealRecord(key: Uint8Array, content: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(content), "utf8");
  return Buffer.concat([sealOf(key, text), text]);
}

/** The content of a record, as JSON text; undefined when record or key are not what they were when it was written. */
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
