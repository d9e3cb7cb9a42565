import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { readStoredRegistration, type StoredRegistration } from "@tributary/resource-directory";
import { NodeError } from "../errors.js";

const FORMAT = "tributary-registrations";
const VERSION = 1;
/** Longest line that is read, bytes: the largest registration that a node takes, twice over. */
const MAX_LINE_BYTES = 128 * 1024 * 1024;
/** Text that is gathered for one write, characters. */
const WRITE_CHARACTERS = 65_536;
const NEWLINE = 10;

/** First line of a file of registrations. */
export interface FileHeader {
  readonly writtenAtMs: number;
  /** What the paths of a shared store follow from. Who has it can guess them. */
  readonly secret?: Uint8Array;
}

/** What a file of registrations has, in the order in which it is read. */
export type FilePart =
  | { readonly kind: "header"; readonly header: FileHeader }
  | { readonly kind: "registration"; readonly registration: StoredRegistration };

/**
 * Writes registrations as JSON, one a line, between a header and a last line with their number and the SHA-256 of everything before it.
 * The file takes the place of an earlier one when it is complete, and only its owner may read it. Returns the number.
 */
export async function writeRegistrationFile(
  path: string,
  { writtenAtMs, secret }: FileHeader,
  registrations: Iterable<StoredRegistration>,
): Promise<number> {
  const part = `${path}.part`;
  const file = await open(part, "w", 0o600);
  try {
    const text = new ChecksummedText(file);
    const written = new Date(writtenAtMs).toISOString();
    const paths = secret === undefined ? {} : { secret: Buffer.from(secret).toString("hex") };
    await text.add({ format: FORMAT, version: VERSION, written, ...paths });
    let count = 0;
    for (const registration of registrations) {
      await text.add(registration);
      count++;
    }
    await text.end(count);
    await file.sync();
    await file.close();
    await rename(part, path);
    return count;
  } catch (error) {
    await file.close();
    await rm(part, { force: true });
    throw error;
  }
}

class ChecksummedText {
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash("sha256");
  #text = "";

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async add(line: object): Promise<void> {
    this.#text += `${JSON.stringify(line)}\n`;
    if (this.#text.length >= WRITE_CHARACTERS) await this.#flush();
  }

  async end(registrations: number): Promise<void> {
    await this.#flush();
    const last = { registrations, sha256: this.#hash.digest("hex") };
    await this.#file.appendFile(`${JSON.stringify(last)}\n`);
  }

  async #flush(): Promise<void> {
    this.#hash.update(this.#text);
    await this.#file.appendFile(this.#text);
    this.#text = "";
  }
}

/**
 * Reads a file of registrations. What comes before an error has to be discarded: only the end says whether the file is whole.
 * @throws {NodeError} `BACKUP_DAMAGED`
 */
export async function* readRegistrationFile(path: string): AsyncGenerator<FilePart> {
  const hash = createHash("sha256");
  const damaged = (line: number, what: string) => new NodeError("BACKUP_DAMAGED", `${path}:${line}: ${what}`);
  let line = 0;
  let isEnded = false;
  for await (const bytes of linesOf(path)) {
    line++;
    if (isEnded) throw damaged(line, "there is more after the last line");
    const value = parse(bytes);
    if (value === undefined) throw damaged(line, "it is not JSON");
    if (line === 1) {
      const header = headerOf(value);
      if (header === undefined) throw damaged(line, `it is not a file of registrations of version ${VERSION}`);
      yield { kind: "header", header };
    } else if ("sha256" in value) {
      if (value.registrations !== line - 2) throw damaged(line, `it has ${line - 2} registrations, not what it says`);
      if (value.sha256 !== hash.digest("hex")) throw damaged(line, "the checksum is another one: the file was changed");
      isEnded = true;
      continue;
    } else {
      const registration = readStoredRegistration(value);
      if (registration === undefined) throw damaged(line, "it is not a registration");
      yield { kind: "registration", registration };
    }
    hash.update(bytes).update("\n");
  }
  if (!isEnded) throw damaged(line + 1, "the end is missing");
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function headerOf({ format, version, written, secret }: Readonly<Record<string, unknown>>): FileHeader | undefined {
  const writtenAtMs = Date.parse(String(written));
  if (format !== FORMAT || version !== VERSION || Number.isNaN(writtenAtMs)) return undefined;
  if (secret === undefined) return { writtenAtMs };
  if (typeof secret !== "string" || !/^(?:[0-9a-f]{2})+$/.test(secret)) return undefined;
  return { writtenAtMs, secret: Buffer.from(secret, "hex") };
}

/** Lines without their ends; the last one may lack its end. @throws {NodeError} */
async function* linesOf(path: string): AsyncGenerator<Uint8Array> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, at)]);
      parts = [];
      size = 0;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > MAX_LINE_BYTES) throw new NodeError("BACKUP_DAMAGED", `${path}: a line is too long`);
  }
  if (size > 0) yield Buffer.concat(parts);
}
