import {
  headerOf,
  type MetaPage,
  NODE,
  nodeAt,
  numberAt,
  PAGE,
  PAGE_HEADER_BYTES,
  PageDamage,
  type PageFile,
  type PageHeader,
  type PageNode,
  type TreeRoot,
} from "./page-file.js";

const MAX_DEPTH = 32;

/** A node of a leaf with its data, inline or from overflow pages. */
export interface LeafNode {
  readonly key: Buffer;
  readonly flags: number;
  readonly node: PageNode;
  readonly data: Buffer;
}

interface Bounds {
  readonly low: Buffer | null;
  readonly high: Buffer | null;
}

interface Counts {
  branch: number;
  leaf: number;
  overflow: number;
  entries: number;
}

/**
 * Walks the trees of one snapshot and verifies what LMDB assumes: each page has its own number, belongs to this snapshot and is
 * reached once; nodes lie within their page; keys are in order; the counts are right.
 */
export class TreeWalk {
  readonly #file: PageFile;
  readonly #meta: MetaPage;
  /** Per page: 1 when it has been reached. */
  readonly #reached: Uint8Array;

  constructor(file: PageFile, meta: MetaPage) {
    if (meta.lastPage > 2 ** 40 / meta.pageSize) throw new PageDamage("more pages than a file has");
    this.#file = file;
    this.#meta = meta;
    this.#reached = new Uint8Array(meta.lastPage + 1);
  }

  /** Yields every leaf node of a tree in order. @throws {PageDamage} */
  *nodes(tree: TreeRoot, compare: (a: Buffer, b: Buffer) => number = Buffer.compare): Generator<LeafNode> {
    const counts: Counts = { branch: 0, leaf: 0, overflow: 0, entries: 0 };
    if (tree.root !== null) yield* this.#below(tree.root, tree.depth, { low: null, high: null }, counts, compare);
    else if (tree.depth !== 0) throw new PageDamage("an empty tree with a depth");
    if (
      counts.branch !== tree.branchPages ||
      counts.leaf !== tree.leafPages ||
      counts.overflow !== tree.overflowPages ||
      counts.entries !== tree.entries
    )
      throw new PageDamage("a tree has another size than it says");
  }

  /** Marks a page as reached. @throws {PageDamage} when it is reached twice, or does not exist. */
  reach(page: number): void {
    if (!(page >= 2 && page <= this.#meta.lastPage) || this.#reached[page] !== 0)
      throw new PageDamage(`page ${page} is used twice, or does not exist`);
    this.#reached[page] = 1;
  }

  /** Yields the pages of the free list. @throws {PageDamage} */
  *freePages(): Generator<number> {
    for (const { data } of this.nodes(this.#meta.free, compareTransactions)) yield* freeIn(data);
  }

  *#below(
    page: number,
    depth: number,
    bounds: Bounds,
    counts: Counts,
    compare: (a: Buffer, b: Buffer) => number,
  ): Generator<LeafNode> {
    if (depth < 1 || depth > MAX_DEPTH) throw new PageDamage(`page ${page}: a tree that is too deep`);
    this.reach(page);
    const bytes = this.#file.read(page * this.#meta.pageSize, this.#meta.pageSize);
    const isLeaf = depth === 1;
    counts[isLeaf ? "leaf" : "branch"]++;
    const nodes = this.#verified(page, bytes, isLeaf, bounds, compare);
    for (const [at, node] of nodes.entries()) {
      if (isLeaf) {
        counts.entries++;
        yield this.#leafNode(page, node, counts);
      } else {
        const low = at === 0 ? bounds.low : node.key;
        yield* this.#below(node.child, depth - 1, { low, high: nodes[at + 1]?.key ?? bounds.high }, counts, compare);
      }
    }
  }

  #verified(
    page: number,
    bytes: Buffer,
    isLeaf: boolean,
    { low, high }: Bounds,
    compare: (a: Buffer, b: Buffer) => number,
  ): PageNode[] {
    const header = headerOf(bytes);
    const fail = (what: string): never => {
      throw new PageDamage(`page ${page}: ${what}`);
    };
    if (header.number !== page || header.flags !== (isLeaf ? PAGE.LEAF : PAGE.BRANCH)) fail("another page is expected");
    if (header.transaction > this.#meta.transaction) fail("it is not of this snapshot");
    if (!isTidy(header, bytes.length) || header.lower === 0) fail("its list of nodes");
    const nodes: PageNode[] = [];
    const places: [start: number, end: number][] = [];
    for (let slot = 0; slot < header.lower; slot += 2) {
      const offset = bytes.readUInt16LE(PAGE_HEADER_BYTES + slot);
      const node = offset < header.upper ? undefined : nodeAt(bytes, offset);
      if (node === undefined) return fail("a node outside of it");
      // The first key of a branch stands for all smaller keys.
      const previous = nodes.at(-1)?.key;
      const isFirstOfBranch = !isLeaf && slot === 0;
      if (!isFirstOfBranch) {
        if (previous !== undefined && (isLeaf || slot > 2) && compare(previous, node.key) >= 0)
          fail("keys out of order");
        if ((low !== null && compare(node.key, low) < 0) || (high !== null && compare(node.key, high) >= 0))
          fail("a key that belongs elsewhere");
      }
      nodes.push(node);
      places.push([node.start, node.end]);
    }
    places.sort(([a], [b]) => a - b);
    if (places.some(([start], at) => at > 0 && start < (places[at - 1]?.[1] ?? 0))) fail("nodes that overlap");
    return nodes;
  }

  #leafNode(page: number, node: PageNode, counts: Counts): LeafNode {
    const { key, flags, inline } = node;
    if (flags !== 0 && flags !== NODE.BIG && flags !== NODE.TREE)
      throw new PageDamage(`page ${page}: a node of no kind`);
    if (flags !== NODE.BIG) return { key, flags, node, data: inline };
    const { pageSize, transaction } = this.#meta;
    const first = numberAt(inline, 0);
    const pages = numberAt(inline, 16);
    if (pages !== Math.ceil((PAGE_HEADER_BYTES + node.dataLength) / pageSize) || numberAt(inline, 8) > transaction)
      throw new PageDamage(`page ${page}: pages of a large record`);
    for (let count = 0; count < pages; count++) this.reach(first + count);
    counts.overflow += pages;
    const header = headerOf(this.#file.read(first * pageSize, PAGE_HEADER_BYTES));
    if (
      header.number !== first ||
      header.flags !== PAGE.OVERFLOW ||
      header.overflowPages !== pages ||
      header.transaction > transaction
    )
      throw new PageDamage(`page ${first}: not of a large record`);
    return { key, flags, node, data: this.#file.read(first * pageSize + PAGE_HEADER_BYTES, node.dataLength) };
  }
}

/** Whether the bounds of the offset list and the free space are plausible. */
export function isTidy({ lower, upper }: PageHeader, pageSize: number): boolean {
  return lower % 2 === 0 && upper % 2 === 0 && lower <= upper && upper <= pageSize - PAGE_HEADER_BYTES;
}

/** Decodes a record of the free list: a count, then page numbers. A negative number is the length of a run that starts at the next. */
function* freeIn(data: Buffer): Generator<number> {
  const count = data.length < 8 ? -1 : numberAt(data, 0);
  if (!(count >= 0 && (count + 1) * 8 <= data.length)) throw new PageDamage("a list of free pages");
  for (let at = 1; at <= count; at++) {
    const entry = Number(data.readBigInt64LE(at * 8));
    if (entry > 0) yield entry;
    else if (entry < 0) {
      const first = ++at <= count ? Number(data.readBigInt64LE(at * 8)) : 0;
      if (first < 2 || -entry > 2 ** 32) throw new PageDamage("a list of free pages");
      for (let page = first; page < first - entry; page++) yield page;
    }
  }
}

/** Compares keys of the free list, which are numbers of commits. */
function compareTransactions(a: Buffer, b: Buffer): number {
  if (a.length !== 8 || b.length !== 8) throw new PageDamage("a key of the list of free pages");
  return numberAt(a, 0) - numberAt(b, 0);
}
