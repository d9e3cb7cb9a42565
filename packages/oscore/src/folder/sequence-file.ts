import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ContextState, StateStore } from "../context/sequence-numbers.js";
import { OscoreError } from "../errors.js";
import { checkMode } from "./context-file.js";

const FILE = "sequence.json";
/** The contents have secrets beside them. */
const MODE = 0o600;

/** Keeps the state of a context in its folder, in the form that aiocoap uses. Files are replaced as a whole. */
export class SequenceFile implements StateStore {
  readonly #folder: string;
  readonly #file: string;
  /** Saves under way, one behind the other. */
  #saving: Promise<void> = Promise.resolve();
  #version = 0;
  #isClosed = false;

  readonly #isRenewed: boolean;

  /** `isRenewed`: the keys are others than those that the file was written with, so what was received is not known. */
  constructor(folder: string, { isRenewed = false } = {}) {
    this.#isRenewed = isRenewed;
    this.#folder = folder;
    this.#file = join(folder, FILE);
  }

  /** @throws {OscoreError} `BAD_CONTEXT`: guessing would repeat numbers. */
  load(): ContextState | undefined {
    let text: string;
    try {
      // Who can write here can have numbers used twice.
      checkMode(this.#file, statSync(this.#file).mode, { isSecret: false });
      text = readFileSync(this.#file, "utf8");
    } catch (cause) {
      if (cause instanceof OscoreError) throw cause;
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new OscoreError("BAD_CONTEXT", `${this.#file}: it cannot be read: ${String(cause)}`, { cause });
    }
    const state = parse(text);
    if (state !== null) return this.#isRenewed ? { ...state, received: "unknown" } : state;
    const remedy = "renew the keys of this context on both sides, and remove this file";
    throw new OscoreError("BAD_CONTEXT", `${this.#file}: it is damaged, so numbers could be used twice; ${remedy}`);
  }

  save(state: ContextState): void {
    if (this.#isClosed) throw new OscoreError("IN_USE", "the context was closed");
    const temporary = this.#temporary();
    const handle = openSync(temporary, "w", MODE);
    try {
      writeSync(handle, format(state));
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, this.#file);
    this.#syncFolder();
  }

  saveLater(state: ContextState): Promise<void> {
    const version = this.#version;
    const run = async (): Promise<void> => {
      // A later state is on disk already.
      if (this.#isClosed || this.#version !== version) return;
      const temporary = this.#temporary();
      const handle = await open(temporary, "w", MODE);
      try {
        await handle.writeFile(format(state));
        await handle.sync();
      } finally {
        await handle.close();
      }
      if (this.#isClosed || this.#version !== version + 1) {
        await rm(temporary, { force: true });
        return;
      }
      renameSync(temporary, this.#file);
      await this.#syncFolderLater();
    };
    this.#saving = this.#saving.then(run, run);
    return this.#saving;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** A name that comes back after a power cut would bring old numbers with it. */
  #syncFolder(): void {
    const handle = openSync(this.#folder, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  }

  async #syncFolderLater(): Promise<void> {
    const handle = await open(this.#folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #temporary(): string {
    return join(this.#folder, `.${FILE}.${process.pid}.${++this.#version}`);
  }
}

/** The bits are a number of any size. */
function format({ nextToSend, received }: ContextState): string {
  const window =
    received === "unknown" ? '"unknown"' : `{"index": ${received.index}, "bitfield": ${received.bitfield}}`;
  return `{"next-to-send": ${nextToSend}, "received": ${window}}\n`;
}

function parse(text: string): ContextState | null {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof document !== "object" || document === null) return null;
  const { "next-to-send": nextToSend, received } = document as Record<string, unknown>;
  if (!isCount(nextToSend)) return null;
  if (received === "unknown") return { nextToSend, received };
  const index = typeof received === "object" && received !== null ? Reflect.get(received, "index") : undefined;
  // JSON.parse has 53 bits only.
  const bitfield = /"bitfield"\s*:\s*(\d+)/.exec(text)?.[1];
  return isCount(index) && bitfield !== undefined
    ? { nextToSend, received: { index, bitfield: BigInt(bitfield) } }
    : null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
