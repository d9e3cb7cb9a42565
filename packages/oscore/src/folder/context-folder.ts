import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Logger, lockFolder } from "@tributary/runtime";
import { SecurityContext } from "../context/security-context.js";
import { OscoreError } from "../errors.js";
import type { NamedContext } from "../layers/server-protection.js";
import { CONTEXT_FILES, type ContextSettings, checkMode, readContext } from "./context-file.js";
import { SequenceFile } from "./sequence-file.js";

/** The security contexts of a node. */
export interface ContextFolder {
  /** Contexts that a request may be protected with, by its kid and kid context; a few at most. */
  find(kid: Uint8Array, kidContext: Uint8Array | undefined): readonly NamedContext[];
  /** The context with a name. */
  named(name: string): NamedContext | undefined;
  readonly names: readonly string[];
  /**
   * Reads the folder again. Contexts that are as before continue undisturbed; observations under others end.
   * @throws {OscoreError} `BAD_CONTEXT`; then nothing changes.
   */
  reload(): ContextChanges;
  /** Saves the exact state of every context, and unlocks the folder. Idempotent. */
  close(): void;
}

/** A context that is used without others. */
export interface SingleContext {
  readonly context: SecurityContext;
  /** Saves its exact state, and unlocks it. Idempotent. */
  close(): void;
}

/** What a reload did, by the names of contexts. */
export interface ContextChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** They have other keys, or another window. */
  readonly changed: readonly string[];
}

/** What opening a folder of contexts needs: a log and random bytes. */
export interface ContextFolderDeps {
  readonly logger: Logger;
  /** Cryptographically secure. */
  readonly randomBytes: (length: number) => Uint8Array;
}

/** Contexts with the same kid that one request is tried with. */
const MAX_CANDIDATES = 8;
const MAX_CONTEXTS = 100_000;
/** Folders of a group may be its own. */
const GROUP_BITS = 0o070;

/**
 * Opens a folder of security contexts. Each is a folder with `settings.json` or `secret.json` in the form of aiocoap, named like the
 * identity that has the other half; several contexts of one identity are folders inside that. The folder is locked for this process.
 * @throws {OscoreError} `BAD_CONTEXT`, `IN_USE`
 */
export function openContextFolder(deps: ContextFolderDeps, path: string): ContextFolder {
  // A folder that is not there cannot be locked.
  findContexts(path);
  const lock = lockFolder(path);
  if (lock.kind === "taken") throw new OscoreError("IN_USE", `${path} is ${lock.by}`);
  try {
    return new Folder(deps, path, lock.unlock);
  } catch (error) {
    lock.unlock();
    throw error;
  }
}

/**
 * Checks a folder of security contexts without using it; returns the names of the contexts.
 * @throws {OscoreError} `BAD_CONTEXT`
 */
export function checkContextFolder(path: string): readonly string[] {
  const contexts = readContexts(path);
  for (const { folder } of contexts) new SequenceFile(folder).load();
  return contexts.map(({ name }) => name);
}

interface Place {
  readonly name: string;
  readonly identity: string;
  readonly folder: string;
}

/** A context as the files say. */
type ReadContext = Place & ContextSettings;

function readContexts(path: string): readonly ReadContext[] {
  const contexts = findContexts(path).map((place) => ({ ...place, ...readContext(place.folder) }));
  index(contexts);
  return contexts;
}

function findContexts(path: string): readonly Place[] {
  const places: Place[] = [];
  for (const identity of foldersIn(path)) {
    const folder = join(path, identity);
    if (isContext(folder)) places.push({ name: identity, identity, folder });
    for (const each of foldersIn(folder)) {
      const inside = join(folder, each);
      if (isContext(inside)) places.push({ name: `${identity}/${each}`, identity, folder: inside });
    }
  }
  if (places.length > MAX_CONTEXTS) throw new OscoreError("BAD_CONTEXT", `${path}: more than ${MAX_CONTEXTS} contexts`);
  if (places.length > 0) return places;
  throw new OscoreError("BAD_CONTEXT", `${path}: there is no folder with a settings.json; add one for each identity`);
}

function foldersIn(path: string): string[] {
  try {
    checkMode(path, statSync(path).mode & ~GROUP_BITS, { isSecret: false });
    const entries = readdirSync(path, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.name.startsWith(".") && statSync(join(path, entry.name)).isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (cause) {
    if (cause instanceof OscoreError) throw cause;
    throw new OscoreError("BAD_CONTEXT", `${path}: it cannot be read as a folder: ${readProblem(cause)}`, { cause });
  }
}

function readProblem(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such folder; check the path";
  if (code === "ENOTDIR") return "it is a file; write the path of a folder";
  return code === "EACCES" ? "no permission; allow this user to read it" : `${code ?? String(cause)}; check the path`;
}

function isContext(folder: string): boolean {
  return CONTEXT_FILES.some((file) => statSync(join(folder, file), { throwIfNoEntry: false }) !== undefined);
}

interface OpenContext extends NamedContext, ReadContext {
  readonly unlock: () => void;
}

function openContext({ logger, randomBytes }: ContextFolderDeps, read: ReadContext, isRenewed: boolean): OpenContext {
  const { name, folder, parameters, window } = read;
  // A command may use a single context of the folder.
  const lock = lockFolder(folder);
  if (lock.kind === "taken") throw new OscoreError("IN_USE", `${folder} is ${lock.by}`);
  const onError = (error: unknown): void =>
    logger.error("the sequence numbers of an OSCORE context cannot be saved", { context: name, error });
  try {
    const store = new SequenceFile(folder, { isRenewed });
    const context = new SecurityContext({ store, randomBytes, onError }, parameters, window);
    return { ...read, context, unlock: lock.unlock };
  } catch (error) {
    lock.unlock();
    throw error;
  }
}

/** What cannot be saved costs a proof of freshness later (RFC 8613 appendix B.1.2), and repeats no number. */
function closeContext({ logger }: ContextFolderDeps, open: OpenContext | undefined): void {
  if (open === undefined) return;
  try {
    open.context.close();
  } catch (error) {
    // Its folder may have been removed.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      logger.warn("the state of an OSCORE context cannot be saved", { context: open.name, error });
  }
  open.unlock();
}

/**
 * Opens a single context, of which `folder` is the folder with `settings.json`, and locks it for this process.
 * @throws {OscoreError} `BAD_CONTEXT`, `IN_USE`
 */
export function openContextAlone(deps: ContextFolderDeps, folder: string): SingleContext {
  if (!isContext(folder)) throw new OscoreError("BAD_CONTEXT", `${folder}: there is no settings.json in it; add one`);
  checkMode(folder, statSync(folder).mode & ~GROUP_BITS, { isSecret: false });
  const open = openContext(deps, { name: folder, identity: folder, folder, ...readContext(folder) }, false);
  let isClosed = false;
  return {
    context: open.context,
    close() {
      if (!isClosed) closeContext(deps, open);
      isClosed = true;
    },
  };
}

/** Contexts by kid. @throws {OscoreError} `BAD_CONTEXT` where two cannot be distinguished. */
function index<T extends { readonly name: string; readonly parameters: SecurityContext["parameters"] }>(
  contexts: readonly T[],
): Map<string, T[]> {
  const byKid = new Map<string, T[]>();
  const names = new Map<string, string>();
  for (const context of contexts) {
    const { recipientId, idContext } = context.parameters;
    const kid = keyOf(recipientId);
    const exact = `${kid} ${idContext === undefined ? "-" : keyOf(idContext)}`;
    const twin = names.get(exact);
    if (twin !== undefined)
      throw new OscoreError("BAD_CONTEXT", `${context.name} and ${twin} have the same recipient-id and id-context`);
    names.set(exact, context.name);
    byKid.set(kid, [...(byKid.get(kid) ?? []), context]);
  }
  return byKid;
}

class Folder implements ContextFolder {
  readonly #deps: ContextFolderDeps;
  readonly #path: string;
  readonly #unlock: () => void;
  #byKid: ReadonlyMap<string, readonly OpenContext[]> = new Map();
  #byName: ReadonlyMap<string, OpenContext> = new Map();
  #isClosed = false;

  constructor(deps: ContextFolderDeps, path: string, unlock: () => void) {
    this.#deps = deps;
    this.#path = path;
    this.#unlock = unlock;
    this.reload();
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  find(kid: Uint8Array, kidContext: Uint8Array | undefined): readonly NamedContext[] {
    const all = this.#byKid.get(keyOf(kid)) ?? [];
    if (kidContext === undefined) return all.slice(0, MAX_CANDIDATES);
    const wanted = keyOf(kidContext);
    return all.filter(({ parameters: { idContext } }) => idContext !== undefined && keyOf(idContext) === wanted);
  }

  named(name: string): NamedContext | undefined {
    return this.#byName.get(name);
  }

  reload(): ContextChanges {
    if (this.#isClosed) throw new OscoreError("IN_USE", `${this.#path} was closed`);
    const before = this.#byName;
    const read = readContexts(this.#path);
    // Whatever is wrong with a file is found before anything is closed.
    for (const { folder } of read) new SequenceFile(folder).load();
    const wanted = new Set(read.map(({ name }) => name));
    const removed = [...before.keys()].filter((name) => !wanted.has(name));
    const changed: string[] = [];
    // New ones first: one that another process uses is the last thing that can fail.
    const opened = new Map<string, OpenContext>();
    try {
      for (const one of read) if (!before.has(one.name)) opened.set(one.name, openContext(this.#deps, one, false));
    } catch (error) {
      for (const context of opened.values()) closeContext(this.#deps, context);
      throw error;
    }
    for (const name of removed) closeContext(this.#deps, before.get(name));
    const contexts = read.map((one) => {
      const known = before.get(one.name);
      if (known === undefined) return opened.get(one.name) as OpenContext;
      if (isSame(known, one)) return known;
      changed.push(one.name);
      closeContext(this.#deps, known);
      return openContext(this.#deps, one, true);
    });
    this.#byKid = index(contexts);
    this.#byName = new Map(contexts.map((context) => [context.name, context]));
    return { added: [...opened.keys()], removed, changed };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const context of this.#byName.values()) closeContext(this.#deps, context);
    this.#unlock();
  }
}

function isSame(one: ReadContext, other: ReadContext): boolean {
  return fingerprint(one) === fingerprint(other);
}

function fingerprint({ parameters, window }: ReadContext): string {
  const { algorithm, hash, masterSecret, masterSalt, senderId, recipientId, idContext } = parameters;
  const ids = [masterSecret, masterSalt, senderId, recipientId].map(keyOf);
  return JSON.stringify([window, algorithm.name, hash, ...ids, idContext === undefined ? null : keyOf(idContext)]);
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
