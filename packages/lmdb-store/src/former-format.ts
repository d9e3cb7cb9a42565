import type { Logger } from "@tributary/runtime";
import type { Database, RootDatabase } from "lmdb";
import * as lmdb from "lmdb";
import type { Records } from "./record-table.js";
import { FORMAT } from "./sealed-record.js";
import type { StateReport } from "./state-file.js";

/*
 * Format 1 had a database for each kind of record, in MessagePack without checksums. It is taken over once, at the first start
 * of a program that writes format 2.
 */

const DATABASES = ["registrations", "positions", "replicas", "times", "upstreams"] as const;
/** Decodes a key as lmdb orders it: part of the package that its types leave out. */
const { bufferToKeyValue } = lmdb as unknown as { readonly bufferToKeyValue: (key: Uint8Array) => unknown };
/** Records read before those that they became are awaited. */
const BATCH = 5000;

export type FormerName = (typeof DATABASES)[number];

/** What stood in format 1: one record by its key, or nothing for a record that cannot be decoded. */
export type FormerRecords = (name: FormerName) => Iterable<{ readonly key: unknown; readonly content: unknown }>;

/** A number that stood beside the records. */
export type FormerNumber = (name: string) => number | undefined;

/** Makes records of the present format of what stood in the former one; each step resolves when it is written. */
export type TakeOver = (former: FormerRecords, numberOf: FormerNumber, records: Records) => Iterable<Promise<unknown>>;

/** Whether a folder has contents of the former format. */
export function isFormer({ databases, format, intact }: StateReport): boolean {
  return (format === 1 || intact === 0) && DATABASES.some((name) => databases.includes(name));
}

export async function takeOverFormer(
  { logger }: { readonly logger: Logger },
  environment: RootDatabase,
  records: Records,
  { path, takeOver }: { readonly path: string; readonly takeOver: TakeOver },
): Promise<void> {
  const opened = new Map<string, Database<unknown, Buffer>>();
  let written: Promise<unknown>[] = [];
  let count = 0;
  function* former(name: FormerName) {
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
  for (const step of takeOver(former, numberOf, records)) {
    count++;
    written.push(step);
    if (written.length < BATCH) continue;
    await Promise.all(written);
    written = [];
  }
  await Promise.all(written);
  // From here on the records count; what is left of the former ones after a crash is not looked at.
  await numbers.put("format", FORMAT);
  for (const database of opened.values()) await database.clearAsync();
  logger.info("kept state was taken over into the present format", { path, records: count });
}

/** A damaged record is one without content. */
function decoded(decode: () => unknown): unknown {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
