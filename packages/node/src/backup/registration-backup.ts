import type { StoredRegistration } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import type { NodeConfig } from "../configuration/types.js";
import { NodeError } from "../errors.js";
import { hasEnded, KeptRegistrations } from "./kept-registrations.js";
import { type OpenStore, openStore } from "./open-store.js";
import { type FileHeader, readRegistrationFile, writeRegistrationFile } from "./registration-file.js";

/** Writes under way, where the store has one writer, and where it is shared. */
const WRITES_ON_DISK = 1000;
const WRITES_SHARED = 64;
/** Attempts to write a registration while instances change it. */
const MAX_ATTEMPTS = 8;
/** Renewals that are no further apart are the same one: clocks are compared, and times are rounded, ms. */
const SAME_RENEWAL_MS = 1000;

/** Settings of `importRegistrations`. */
export interface ImportOptions {
  /** Takes registrations over although their paths change, so that endpoints have to register again. */
  readonly newPaths?: boolean;
}

/** What became of the registrations of a file. */
export interface ImportSummary {
  readonly imported: number;
  /** Those of which the store has one that was renewed later. */
  readonly younger: number;
  /** Those whose lifetime is over. */
  readonly ended: number;
  /** Those whose path another endpoint has. */
  readonly pathTaken: number;
}

type Outcome = keyof ImportSummary;

/**
 * Writes the registrations of a store to a file; those whose lifetime has ended are left out. A store on disk must not be in use. Returns
 * their number. @throws {NodeError}, or the error of the store
 */
export async function exportRegistrations(env: Environment, config: NodeConfig, path: string): Promise<number> {
  const { store, secret } = await openStore(env, config, { kind: "export" });
  try {
    const kept = await KeptRegistrations.of(store);
    const header = { writtenAtMs: env.clock.wallMs(), ...(secret === undefined ? {} : { secret }) };
    return await writeRegistrationFile(path, header, kept.live(env.clock.wallMs()));
  } finally {
    await store.close();
  }
}

/**
 * Brings the registrations of a file into a store, which may have some already: of two with one (ep, d) the one that was renewed last
 * counts. Lifetimes go on. Nothing is written unless the whole file is as it was written. @throws {NodeError}, or the error of the store
 */
export async function importRegistrations(
  env: Environment,
  config: NodeConfig,
  path: string,
  { newPaths = false }: ImportOptions = {},
): Promise<ImportSummary> {
  const header = await verify(path);
  const isShared = config.registration?.store.kind === "nats";
  if (isShared && header.secret === undefined && !newPaths) throw otherPaths(path);
  const { secret } = header;
  const target = await openStore(env, config, { kind: "import", ...(secret === undefined ? {} : { secret }) });
  try {
    if (isShared && !newPaths && !isSame(target.secret, secret)) throw otherPaths(path);
    return await new Import(env, target, await KeptRegistrations.of(target.store)).run(path);
  } finally {
    await target.store.close();
  }
}

/** Reads a file to its end, and returns its header. */
async function verify(path: string): Promise<FileHeader> {
  let header: FileHeader | undefined;
  for await (const part of readRegistrationFile(path)) if (part.kind === "header") header = part.header;
  return header as FileHeader;
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && Buffer.from(one).equals(other);
}

function otherPaths(path: string): NodeError {
  const message = `${path}: registrations have other paths in this store, so that endpoints would find theirs gone, and register again; --new-paths takes them over all the same`;
  return new NodeError("BACKUP_REFUSED", message);
}

class Import {
  readonly #env: Environment;
  readonly #target: OpenStore;
  readonly #kept: KeptRegistrations;
  readonly #counts: Record<Outcome, number> = { imported: 0, younger: 0, ended: 0, pathTaken: 0 };

  constructor(env: Environment, target: OpenStore, kept: KeptRegistrations) {
    this.#env = env;
    this.#target = target;
    this.#kept = kept;
  }

  async run(path: string): Promise<ImportSummary> {
    const most = this.#target.store.shared === undefined ? WRITES_ON_DISK : WRITES_SHARED;
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    for await (const part of readRegistrationFile(path)) {
      if (part.kind !== "registration") continue;
      const write = this.#write(part.registration).then(
        (outcome) => void this.#counts[outcome]++,
        (error: unknown) => {
          failure ??= error;
        },
      );
      underWay.add(write);
      void write.then(() => underWay.delete(write));
      if (underWay.size >= most) await Promise.race(underWay);
      if (failure !== undefined) break;
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw failure;
    return this.#counts;
  }

  async #write(registration: StoredRegistration): Promise<Outcome> {
    const { store } = this.#target;
    let reason = "other writers change it all the time";
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      if (hasEnded(registration, this.#env.clock.wallMs())) return "ended";
      const known = this.#kept.byEndpoint(registration);
      if (known !== undefined && this.#isYounger(known.stored, registration) && !known.isEnded) return "younger";
      const id = store.shared?.locationOf(registration) ?? registration.id;
      const there = this.#kept.byId(id)?.stored;
      if (there !== undefined && (there.ep !== registration.ep || there.d !== registration.d)) return "pathTaken";
      const ageMs = Math.max(0, Math.round(this.#env.clock.wallMs() - registration.renewedAtWallMs));
      const operation = { kind: "put", registration: { ...registration, id }, ageMs } as const;
      const outcome = await store.submit(operation, known?.position ?? null);
      if (outcome.kind === "stored") return "imported";
      if (outcome.kind === "too-large") throw this.#refused("a registration is larger than what the store takes");
      if (outcome.kind !== "conflict") reason = outcome.message;
      if (outcome.kind === "away") break;
    }
    throw this.#refused(reason);
  }

  #isYounger(known: StoredRegistration, registration: StoredRegistration): boolean {
    if (hasEnded(known, this.#env.clock.wallMs())) return false;
    return known.renewedAtWallMs + SAME_RENEWAL_MS > registration.renewedAtWallMs;
  }

  #refused(reason: string): NodeError {
    const { imported } = this.#counts;
    const message = `the import ended after ${imported} registrations: ${reason}; what is there stays, and the import may be repeated`;
    return new NodeError("BACKUP_REFUSED", message);
  }
}
