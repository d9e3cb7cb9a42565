import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  headerOf,
  type MetaPage,
  metaOrDamage,
  NODE,
  nodeAt,
  numberAt,
  PAGE,
  PAGE_HEADER_BYTES,
  PageDamage,
  PageFile,
  type PageNode,
  pageSizeOf,
  treeOf,
} from "./pages/page-file.js";
import { isTidy, type LeafNode, TreeWalk } from "./pages/page-tree.js";
import { RECORDS } from "./record-table.js";
import { unsealRecord } from "./sealed-record.js";

/** Records examined per turn of the event loop. */
const RECORDS_PER_TURN = 2000;
const DEFAULT_PAGE_SIZE = 4096;

/** A record whose checksum is correct. */
export interface IntactRecord {
  readonly key: Buffer;
  readonly record: Buffer;
}

/** Result of examining the file of an environment. */
export interface StateReport {
  /** Why it must not be opened; null: it may. */
  readonly problem: string | null;
  /** The format version in the file; undefined: none, or not readable. */
  readonly format: number | undefined;
  /** Databases in it. */
  readonly databases: readonly string[];
  /** Numbers of intact and damaged records. */
  readonly intact: number;
  readonly damaged: number;
}

/** Opens the database file of a folder; undefined when there is none, or it is empty. @throws when it cannot be opened. */
export function openStateFile(folder: string): StateFile | undefined {
  const path = join(folder, "data.mdb");
  if (!existsSync(path)) return undefined;
  const found = statSync(path);
  // Opening a pipe would block until there is a writer.
  if (!found.isFile()) throw new Error(`${path} is not a file`);
  return found.size === 0 ? undefined : new StateFile(new PageFile(path));
}

/** Read-only access to the file of an environment, which may be damaged anywhere. */
export class StateFile {
  readonly #file: PageFile;
  readonly #pageSize: number;
  /** The latest snapshot, and the reason why that is in doubt. */
  readonly #meta: MetaPage | null;
  readonly #metaProblem: string | null;

  constructor(file: PageFile) {
    this.#file = file;
    this.#pageSize = pageSizeOf(file) ?? DEFAULT_PAGE_SIZE;
    const { meta, problem } = this.#latestSnapshot();
    this.#meta = meta;
    this.#metaProblem = problem;
  }

  close(): void {
    this.#file.close();
  }

  /** Verifies the structure of the file and every record in it. */
  async examine(): Promise<StateReport> {
    const databases: string[] = [];
    let format: number | undefined;
    let intact = 0;
    let damaged = 0;
    let problem = this.#metaProblem;
    try {
      if (this.#meta === null) throw new PageDamage("there is no snapshot in it");
      const walk = new TreeWalk(this.#file, this.#meta);
      for (const { database, key, data } of this.#leaves(walk, this.#meta, (name) => databases.push(name))) {
        const isIntact = unsealRecord(key, data) !== undefined;
        if (isIntact) intact++;
        if (isIntact && database !== RECORDS) problem ??= "records are in a database of another name";
        else if (database === RECORDS && !isIntact) damaged++;
        else if (database === "meta" && key.toString().startsWith("format")) format = numberIn(data);
        if ((intact + damaged) % RECORDS_PER_TURN === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      }
      for (const page of walk.freePages()) walk.reach(page);
    } catch (error) {
      if (!(error instanceof PageDamage)) throw error;
      problem ??= error.message;
    }
    if (damaged > 0)
      problem ??= damaged === 1 ? "a record is not what it was" : `${damaged} records are not what they were`;
    return { problem, format, databases, intact, damaged };
  }

  /** The number of records according to the file; undefined when that cannot be read. */
  recordCount(): number | undefined {
    try {
      if (this.#meta === null) return undefined;
      for (const node of new TreeWalk(this.#file, this.#meta).nodes(this.#meta.main))
        if (nameOf(node.key) === RECORDS) return treeOf(node.node).entries;
    } catch (error) {
      if (!(error instanceof PageDamage)) throw error;
    }
    return undefined;
  }

  /** Yields every intact record, each key once. */
  *intactRecords(): Generator<IntactRecord> {
    if (this.#areTreesSound()) yield* this.#recordsOfTrees();
    else yield* this.#recordsOfPages();
  }

  *#recordsOfTrees(): Generator<IntactRecord> {
    const meta = this.#meta as MetaPage;
    for (const { key, data } of this.#leaves(new TreeWalk(this.#file, meta), meta)) {
      if (unsealRecord(key, data) !== undefined) yield { key, record: data };
    }
  }

  #areTreesSound(): boolean {
    const meta = this.#meta;
    if (meta === null) return false;
    return isSound(() => {
      for (const _ of this.#leaves(new TreeWalk(this.#file, meta), meta));
    });
  }

  /**
   * Finds records by reading every page that is not free; free pages hold removed and replaced records. Where the free list is
   * damaged as well, the version in the page of the latest commit is used.
   */
  *#recordsOfPages(): Generator<IntactRecord> {
    const free = this.#freePages();
    const pages = Math.floor(this.#file.byteLength / this.#pageSize);
    const found = new Map<string, { transaction: number; page: number; offset: number }>();
    for (let page = 2; page < pages; page++) {
      if (free.has(page)) continue;
      const bytes = this.#file.read(page * this.#pageSize, this.#pageSize);
      const { transaction } = headerOf(bytes);
      for (const offset of offsetsIn(bytes)) {
        const record = this.#recordAt(bytes, offset);
        if (record === undefined) continue;
        const key = record.key.toString("latin1");
        const known = found.get(key);
        if (known === undefined || known.transaction < transaction) found.set(key, { transaction, page, offset });
      }
    }
    for (const { page, offset } of found.values()) {
      const record = this.#recordAt(this.#file.read(page * this.#pageSize, this.#pageSize), offset);
      if (record !== undefined) yield record;
    }
  }

  #freePages(): ReadonlySet<number> {
    const free = new Set<number>();
    const meta = this.#meta;
    if (meta === null) return free;
    isSound(() => {
      for (const page of new TreeWalk(this.#file, meta).freePages()) free.add(page);
    });
    return free;
  }

  #recordAt(page: Buffer, offset: number): IntactRecord | undefined {
    const node = nodeAt(page, offset);
    if (node === undefined || node.key.length === 0) return undefined;
    const record = node.flags === NODE.BIG ? this.#largeRecord(node) : node.inline;
    return record !== undefined && unsealRecord(node.key, record) !== undefined ? { key: node.key, record } : undefined;
  }

  #largeRecord({ inline, dataLength }: PageNode): Buffer | undefined {
    try {
      return this.#file.read(numberAt(inline, 0) * this.#pageSize + PAGE_HEADER_BYTES, dataLength);
    } catch (error) {
      if (!(error instanceof PageDamage)) throw error;
      return undefined;
    }
  }

  /** Leaf nodes of every database. @throws {PageDamage} */
  *#leaves(
    walk: TreeWalk,
    { main }: MetaPage,
    onDatabase: (name: string) => void = () => {},
  ): Generator<LeafNode & { readonly database: string }> {
    for (const { key, flags, node } of walk.nodes(main)) {
      if (flags !== NODE.TREE) throw new PageDamage("an entry of the main tree is not a database");
      const database = nameOf(key);
      onDatabase(database);
      for (const leaf of walk.nodes(treeOf(node))) {
        if (leaf.flags === NODE.TREE) throw new PageDamage("a database within a database");
        yield { ...leaf, database };
      }
    }
  }

  /**
   * Finds the snapshot of the last commit. LMDB takes the one with the larger number. Here its pages must have that number too, so
   * that a damaged number does not bring back the previous snapshot.
   */
  #latestSnapshot(): { meta: MetaPage | null; problem: string | null } {
    const found = ([0, 1] as const).map((slot) => metaOrDamage(this.#file, slot, this.#pageSize));
    const damage = found.find((one) => one instanceof PageDamage);
    const claims = found.filter((one): one is MetaPage => !(one instanceof PageDamage));
    const taken = claims.reduce<MetaPage | null>(
      (best, one) => (best === null || one.transaction > best.transaction ? one : best),
      null,
    );
    const candidates = claims
      .map((meta) => ({ ...meta, transaction: this.#transactionOf(meta) }))
      .filter(({ slot, transaction }) => transaction % 2 === slot || transaction === 0)
      .sort((a, b) => b.transaction - a.transaction);
    const actual = candidates.find((meta) => this.#isWalkable(meta)) ?? candidates[0] ?? taken;
    if (damage !== undefined) return { meta: actual, problem: damage.message };
    const isClear = taken !== null && actual?.slot === taken.slot && actual.transaction === taken.transaction;
    return { meta: actual, problem: isClear ? null : "it is not clear which snapshot is the latest" };
  }

  /** Number of the commit that wrote the roots of a snapshot. */
  #transactionOf({ free, main }: MetaPage): number {
    let latest = 0;
    for (const { root } of [free, main]) {
      if (root === null) continue;
      isSound(() => {
        latest = Math.max(latest, headerOf(this.#file.read(root * this.#pageSize, PAGE_HEADER_BYTES)).transaction);
      });
    }
    return latest;
  }

  #isWalkable(meta: MetaPage): boolean {
    return isSound(() => {
      const walk = new TreeWalk(this.#file, meta);
      for (const _ of walk.nodes(meta.main));
      for (const _ of walk.freePages());
    });
  }
}

/** Possible offsets of nodes in a page. */
function offsetsIn(page: Buffer): number[] {
  const header = headerOf(page);
  const isListKnown = isTidy(header, page.length) && header.flags === PAGE.LEAF;
  const end = isListKnown ? header.lower : page.length - PAGE_HEADER_BYTES;
  const offsets = new Set<number>();
  for (let slot = 0; slot + 1 < end; slot += 2) offsets.add(page.readUInt16LE(PAGE_HEADER_BYTES + slot));
  return [...offsets];
}

function isSound(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof PageDamage) return false;
    throw error;
  }
}

function nameOf(key: Buffer): string {
  return key.toString("utf8").replace(/\0$/, "");
}

function numberIn(json: Buffer): number | undefined {
  const text = json.toString("utf8");
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
