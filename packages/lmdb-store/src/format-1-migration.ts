import type { Logger } from "@tributary/runtime";
import type { Database, RootDatabase } from "lmdb";
import * as lmdb from "lmdb";
import type { Records } from "./record-table.js";
import { FORMAT } from "./sealed-record.js";
import type { StateReport } from "./state-file.js";

/*
 * Format 1 had a database for each kind of record, in MessagePack without checksums. It is converted at the first start of a program
 * that writes format 2.
 */

const DATABASES = ["registrations", "positions", "replicas", "times", "upstreams"] as const;
/** Decodes an ordered key of lmdb; missing from the types of that package. */
const { bufferToKeyValue } = lmdb as unknown as { readonly bufferToKeyValue: (key: Uint8Array) => unknown };
/** Records converted before their writes are awaited. */
const BATCH = 5000;

export type Format1Table = (typeof DATABASES)[number];

/** Reads a table of format 1; key or content is undefined where it cannot be decoded. */
export type Format1Records = (name: Format1Table) => Iterable<{ readonly key: unknown; readonly content: unknown }>;

/** Reads an internal number of format 1. */
export type Format1Number = (name: string) => number | undefined;

/** Converts the records of format 1; each step resolves when its record is written. */
export type Migration = (
  former: Format1Records,
  numberOf: Format1Number,
  records: Records,
) => Iterable<Promise<unknown>>;

/** Whether a folder has contents in format 1. */
export function isFormat1({ databases, format, intact }: StateReport): boolean {
  return (format === 1 || intact === 0) && DATABASES.some((name) => databases.includes(name));
}

/** Converts the contents of a folder from format 1 to the present format. */
export async function migrateFormat1(
  { logger }: { readonly logger: Logger },
  environment: RootDatabase,
  records: Records,
  { path, migrate }: { readonly path: string; readonly migrate: Migration },
): Promise<void> {
  const opened = new Map<string, Database<unknown, Buffer>>();
  let written: Promise<unknown>[] = [];
  let count = 0;
  function* former(name: Format1Table) {
    const encoding = name === "upstreams" ? "json" : "msgpack";
    const database = environment.openDB<unknown, Buffer>({ name, encoding, keyEncoding: "binary" });
    opened.set(name, database);
    for (const key of database.getKeys()) {
      yield { key: decoded(() => bufferToKeyValue(key)), content: decoded(() => database.get(key)) };
    }
  }
  const numbers = environment.openDB<unknown, string>({ name: "meta", encoding: "json" });
  const numberOf = (name: string) => {
    const found = decoded(() => numbers.get(name));
    return typeof found === "number" && Number.isSafeInteger(found) ? found : undefined;
  };
  for (const step of migrate(former, numberOf, records)) {
    count++;
    written.push(step);
    if (written.length < BATCH) continue;
    await Promise.all(written);
    written = [];
  }
  await Promise.all(written);
  // From here on the new records are valid. Old ones that are left after a crash are ignored.
  await numbers.put("format", FORMAT);
  for (const database of opened.values()) await database.clearAsync();
  logger.info("stored state was converted from format 1", { path, records: count });
}

/** Returns undefined where a record cannot be decoded. */
function decoded(decode: () => unknown): unknown {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
