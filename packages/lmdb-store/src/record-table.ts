import type { Database, RootDatabase } from "lmdb";
import { sealRecord, unsealRecord } from "./sealed-record.js";

/** Name of the database that holds every table. */
export const RECORDS = "records";
const SEPARATOR = "\0";
/** Upper bound of keys with the separator. */
const AFTER_SEPARATOR = "\u0001";

export type Records = Database<Buffer, Buffer>;

/** Opens the database that holds every table. */
export function openRecords(environment: RootDatabase): Records {
  return environment.openDB<Buffer, Buffer>({ name: RECORDS, encoding: "binary", keyEncoding: "binary" });
}

/** Returns the table that a key belongs to. */
export function tableOf(key: Uint8Array): string {
  const text = Buffer.from(key).toString("utf8");
  return text.slice(0, Math.max(0, text.indexOf(SEPARATOR)));
}

/** A table: records of one kind, by key. Each record is verified when it is read. */
export class RecordTable {
  readonly #records: Records;
  readonly #name: string;

  constructor(records: Records, name: string) {
    this.#records = records;
    this.#name = name;
  }

  /** Returns the content under `key`; undefined: there is none, or it is damaged. */
  get(key: string): unknown {
    const bytes = this.#keyOf(key);
    const record = this.#records.get(bytes);
    const text = record === undefined ? undefined : unsealRecord(bytes, record);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Resolves when the record is on disk. */
  put(key: string, content: unknown): Promise<boolean> {
    const bytes = this.#keyOf(key);
    return this.#records.put(bytes, sealRecord(bytes, content));
  }

  remove(key: string): Promise<boolean> {
    return this.#records.remove(this.#keyOf(key));
  }

  /** Removes a record within a transaction. */
  removeSync(key: string): void {
    this.#records.removeSync(this.#keyOf(key));
  }

  /** Keys that begin with `prefix`, in order. */
  *keys(prefix = ""): Generator<string> {
    const skipped = this.#name.length + SEPARATOR.length;
    for (const key of this.#records.getKeys(this.#rangeOf(prefix)))
      yield Buffer.from(key).toString("utf8").slice(skipped);
  }

  /** Records whose key begins with `prefix`, in order; the content of a damaged one is undefined. */
  *entries(prefix = ""): Generator<{ readonly key: string; readonly content: unknown }> {
    for (const key of this.keys(prefix)) yield { key, content: this.get(key) };
  }

  #keyOf(key: string): Buffer {
    return Buffer.from(this.#name + SEPARATOR + key, "utf8");
  }

  #rangeOf(prefix: string): { start: Buffer; end: Buffer } {
    const start = this.#keyOf(prefix);
    if (prefix === "") return { start, end: Buffer.from(this.#name + AFTER_SEPARATOR, "utf8") };
    return { start, end: Buffer.concat([start, Buffer.from([0xff])]) };
  }
}
