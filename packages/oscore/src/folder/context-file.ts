import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_WINDOW, MAX_ID_CONTEXT_BYTES, MAX_WINDOW } from "../constants.js";
import { ALGORITHM_NAMES, DEFAULT_ALGORITHM, findAlgorithm } from "../crypto/algorithms.js";
import { type ContextParameters, maxIdBytes } from "../crypto/keys.js";
import { OscoreError } from "../errors.js";

/** A security context as its files say. */
export interface ContextSettings {
  readonly parameters: ContextParameters;
  readonly window: number;
}

/** Names of files that a folder with a context has, one of them or both. */
export const CONTEXT_FILES = ["secret.json", "settings.json"] as const;

const HASHES: ReadonlyMap<string, ContextParameters["hash"]> = new Map([
  ["sha256", "sha256"],
  ["sha384", "sha384"],
  ["sha512", "sha512"],
]);
const MAX_FILE_BYTES = 65_536;
/** Bits of the mode for those who are neither owner nor of the group, and for others than the owner to write. */
const OPEN_TO_OTHERS = 0o007;
const WRITABLE_BY_OTHERS = 0o022;
/** Shorter secrets can be guessed. */
const MIN_SECRET_BYTES = 8;

/**
 * Reads the files of one context, in the form that aiocoap uses.
 * @throws {OscoreError} `BAD_CONTEXT`
 */
export function readContext(folder: string): ContextSettings {
  const values = new Map<string, { readonly file: string; readonly value: unknown }>();
  for (const name of CONTEXT_FILES) readFile(join(folder, name), values);
  const reader = new Reader(folder, values);
  const algorithmName = reader.value("algorithm");
  const algorithm = algorithmName === undefined ? DEFAULT_ALGORITHM : findAlgorithm(algorithmName as string | number);
  if (algorithm === undefined) throw reader.bad("algorithm", `write one of ${ALGORITHM_NAMES.join(", ")}`);
  const hash = HASHES.get((reader.value("kdf-hashfun") as string | undefined) ?? "sha256");
  if (hash === undefined) throw reader.bad("kdf-hashfun", `write one of ${[...HASHES.keys()].join(", ")}`);
  const window = reader.value("window") ?? DEFAULT_WINDOW;
  if (typeof window !== "number" || !Number.isInteger(window) || window < 1 || window > MAX_WINDOW)
    throw reader.bad("window", `write a whole number from 1 to ${MAX_WINDOW}`);
  const longest = maxIdBytes(algorithm);
  const idContext = reader.bytes("id-context", 0, MAX_ID_CONTEXT_BYTES);
  const parameters: ContextParameters = {
    algorithm,
    hash,
    masterSecret: reader.required("secret", MIN_SECRET_BYTES, MAX_FILE_BYTES),
    masterSalt: reader.bytes("salt", 0, MAX_FILE_BYTES) ?? new Uint8Array(0),
    senderId: reader.required("sender-id", 0, longest),
    recipientId: reader.required("recipient-id", 0, longest),
    ...(idContext === undefined ? {} : { idContext }),
  };
  if (Buffer.compare(parameters.senderId, parameters.recipientId) === 0)
    throw reader.bad("recipient-id", "it is the same as sender-id; the two sides need different ones");
  return { parameters, window };
}

type Values = Map<string, { readonly file: string; readonly value: unknown }>;

/**
 * Checks who besides the owner may read or write a file, or write into a folder, of a context. Windows has no such bits.
 * @throws {OscoreError} `BAD_CONTEXT`
 */
export function checkMode(path: string, mode: number, { isSecret }: { readonly isSecret: boolean }): void {
  const open = process.platform === "win32" ? 0 : mode & (WRITABLE_BY_OTHERS | (isSecret ? OPEN_TO_OTHERS : 0));
  if (open === 0) return;
  const who = (open & OPEN_TO_OTHERS) !== 0 ? "everybody on this machine" : "its group";
  const what = (open & WRITABLE_BY_OTHERS) !== 0 ? "written" : "read";
  const remedy = `chmod ${isSecret ? "g-w,o=" : "go-w"} ${path}`;
  throw new OscoreError("BAD_CONTEXT", `${path}: it can be ${what} by ${who}; restrict it: ${remedy}`);
}

function readFile(file: string, values: Values): void {
  let text: string;
  try {
    const { size, mode } = statSync(file);
    if (size > MAX_FILE_BYTES) throw new OscoreError("BAD_CONTEXT", `${file}: more than ${MAX_FILE_BYTES} bytes`);
    text = readFileSync(file, "utf8");
    checkMode(file, mode, { isSecret: text.includes('"secret') });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    if (cause instanceof OscoreError) throw cause;
    throw new OscoreError("BAD_CONTEXT", `${file}: it cannot be read: ${String(cause)}`, { cause });
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new OscoreError("BAD_CONTEXT", `${file}: it is not JSON`, { cause });
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new OscoreError("BAD_CONTEXT", `${file}: write a JSON object`);
  for (const [key, value] of Object.entries(document)) {
    const name = key.replace(/_(?:hex|ascii)$/, "");
    if (values.has(name)) throw new OscoreError("BAD_CONTEXT", `${file}: ${name} is given twice; remove one`);
    values.set(name, { file, value: key === name ? value : decode(file, key, value) });
  }
}

function decode(file: string, key: string, value: unknown): Uint8Array {
  const isHex = key.endsWith("_hex");
  const isRight =
    typeof value === "string" && (isHex ? /^(?:[0-9a-f]{2})*$/i.test(value) : /^[\x00-\x7f]*$/.test(value));
  if (!isRight) throw new OscoreError("BAD_CONTEXT", `${file}: ${key} is not ${isHex ? "hexadecimal" : "ASCII"} text`);
  return Uint8Array.from(Buffer.from(value as string, isHex ? "hex" : "ascii"));
}

class Reader {
  readonly #folder: string;
  readonly #values: Values;

  constructor(folder: string, values: Values) {
    this.#folder = folder;
    this.#values = values;
  }

  value(name: string): unknown {
    return this.#values.get(name)?.value;
  }

  bytes(name: string, shortest: number, longest: number): Uint8Array | undefined {
    const value = this.value(name);
    if (value === undefined || value === null) return undefined;
    if (!(value instanceof Uint8Array)) throw this.bad(name, `write it as ${name}_hex or ${name}_ascii`);
    if (value.length < shortest || value.length > longest)
      throw this.bad(name, `it has ${value.length} bytes; write ${shortest} to ${longest}`);
    return value;
  }

  required(name: string, shortest: number, longest: number): Uint8Array {
    const value = this.bytes(name, shortest, longest);
    if (value === undefined) throw new OscoreError("BAD_CONTEXT", `${this.#folder}: ${name}_hex is missing; add it`);
    return value;
  }

  bad(name: string, remedy: string): OscoreError {
    return new OscoreError("BAD_CONTEXT", `${this.#values.get(name)?.file ?? this.#folder}: ${name}: ${remedy}`);
  }
}
