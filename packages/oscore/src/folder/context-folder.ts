import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Logger, lockFolder } from "@tributary/runtime";
import { SecurityContext } from "../context/security-context.js";
import { OscoreError } from "../errors.js";
import type { NamedContext } from "../layers/server-protection.js";
import { CONTEXT_FILES, readContext } from "./context-file.js";
import { SequenceFile } from "./sequence-file.js";

/** The security contexts of a node. */
export interface ContextFolder {
  /** Contexts that a request may be protected with, by its kid and kid context; a few at most. */
  find(kid: Uint8Array, kidContext: Uint8Array | undefined): readonly NamedContext[];
  /** The context with a name. */
  named(name: string): NamedContext | undefined;
  readonly names: readonly string[];
  /** Saves the exact state of every context, and unlocks the folder. Idempotent. */
  close(): void;
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

/**
 * Opens a folder of security contexts. Each is a folder with `settings.json` or `secret.json` in the form of aiocoap, named like the
 * identity that has the other half; several contexts of one identity are folders inside that. The folder is locked for this process.
 * @throws {OscoreError} `BAD_CONTEXT`, `IN_USE`
 */
export function openContextFolder(deps: ContextFolderDeps, path: string): ContextFolder {
  const places = findContexts(path);
  const lock = lockFolder(path);
  if (lock.kind === "taken") throw new OscoreError("IN_USE", `${path} is ${lock.by}`);
  try {
    return new Folder(
      places.map((place) => openContext(deps, place)),
      lock.unlock,
    );
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
  const places = findContexts(path);
  index(places.map((place) => ({ ...place, parameters: readContext(place.folder).parameters })));
  return places.map(({ name }) => name);
}

interface Place {
  readonly name: string;
  readonly identity: string;
  readonly folder: string;
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
    const entries = readdirSync(path, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.name.startsWith(".") && statSync(join(path, entry.name)).isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (cause) {
    throw new OscoreError("BAD_CONTEXT", `${path}: it cannot be read as a folder: ${String(cause)}`, { cause });
  }
}

function isContext(folder: string): boolean {
  return CONTEXT_FILES.some((file) => statSync(join(folder, file), { throwIfNoEntry: false }) !== undefined);
}

interface OpenContext extends NamedContext {
  readonly parameters: SecurityContext["parameters"];
}

function openContext({ logger, randomBytes }: ContextFolderDeps, { name, identity, folder }: Place): OpenContext {
  const { parameters, window, exposed } = readContext(folder);
  for (const file of exposed)
    logger.warn("others can read the keys of an OSCORE context", { file, remedy: "chmod o-rwx" });
  const onError = (error: unknown): void =>
    logger.error("the sequence numbers of an OSCORE context cannot be saved", { context: name, error });
  const context = new SecurityContext({ store: new SequenceFile(folder), randomBytes, onError }, parameters, window);
  return { name, identity, context, parameters };
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
  readonly names: readonly string[];
  readonly #byKid: ReadonlyMap<string, readonly OpenContext[]>;
  readonly #byName: ReadonlyMap<string, OpenContext>;
  readonly #unlock: () => void;
  #isClosed = false;

  constructor(contexts: readonly OpenContext[], unlock: () => void) {
    this.#byKid = index(contexts);
    this.#byName = new Map(contexts.map((context) => [context.name, context]));
    this.names = [...this.#byName.keys()];
    this.#unlock = unlock;
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

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { context } of this.#byName.values()) context.close();
    this.#unlock();
  }
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
