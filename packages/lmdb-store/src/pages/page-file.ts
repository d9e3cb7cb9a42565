import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/*
 * Reads the file of an LMDB environment (data version 2) page by page, without LMDB, which maps it into memory and may crash the
 * process when a page is damaged. Numbers are little endian. Offsets within a page count from the end of its header.
 */

export const PAGE_HEADER_BYTES = 24;
export const PAGE = { BRANCH: 1, LEAF: 2, OVERFLOW: 4, META: 8 } as const;
export const NODE = { BIG: 1, TREE: 2 } as const;
const NODE_HEADER_BYTES = 8;
const TREE_BYTES = 48;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
/** LMDB's number for a page that does not exist: the root of an empty tree. */
const NO_PAGE = 2n ** 64n - 1n;
const FREE_TREE_FLAGS = 8;

/** Damage of the file; the message says where. */
export class PageDamage extends Error {}

export interface TreeRoot {
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** Null: empty. */
  readonly root: number | null;
}

/** One of the two pages with the roots of the trees; the later one is valid. */
export interface MetaPage {
  readonly slot: 0 | 1;
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly free: TreeRoot;
  readonly main: TreeRoot;
}

export interface PageHeader {
  readonly number: number;
  readonly transaction: number;
  readonly flags: number;
  /** Ends of the offset list and of the free space. */
  readonly lower: number;
  readonly upper: number;
  readonly overflowPages: number;
}

export interface PageNode {
  readonly key: Buffer;
  readonly flags: number;
  /** Bytes of the data, which follow the key or are on overflow pages. */
  readonly dataLength: number;
  /** The bytes after the key. */
  readonly inline: Buffer;
  /** Of a branch: the child page. */
  readonly child: number;
  readonly start: number;
  readonly end: number;
}

export class PageFile {
  readonly byteLength: number;
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "r");
    this.byteLength = fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** @throws {PageDamage} when the file is too short. */
  read(offset: number, length: number): Buffer {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.byteLength))
      throw new PageDamage("the file is too short");
    const bytes = Buffer.alloc(length);
    if (readSync(this.#file, bytes, 0, length, offset) !== length) throw new PageDamage("the file is too short");
    return bytes;
  }

  /** @throws {PageDamage} */
  meta(slot: 0 | 1, pageSize: number): MetaPage {
    const bytes = this.read(slot * pageSize, PAGE_HEADER_BYTES + 136);
    const at = PAGE_HEADER_BYTES;
    const fail = (what: string): never => {
      throw new PageDamage(`meta page ${slot}: ${what}`);
    };
    if (numberAt(bytes, 0) !== slot || headerOf(bytes).flags !== PAGE.META) fail("not a meta page");
    if (bytes.readUInt32LE(at) !== MAGIC || bytes.readUInt32LE(at + 4) !== DATA_VERSION) fail("not of this database");
    if (bytes.readBigUInt64LE(at + 8) !== 0n) fail("a fixed address");
    const free = treeAt(bytes, at + 24);
    const main = treeAt(bytes, at + 24 + TREE_BYTES);
    const declaredSize = bytes.readUInt32LE(at + 24);
    const mapSize = numberAt(bytes, at + 16);
    const lastPage = numberAt(bytes, at + 24 + 2 * TREE_BYTES);
    if (declaredSize !== pageSize) fail("another size of pages");
    if (free.flags !== FREE_TREE_FLAGS || main.flags !== 0) fail("flags");
    if (mapSize < (lastPage + 1) * pageSize || mapSize > 2 ** 46 || mapSize % pageSize !== 0) fail("size of the map");
    const transaction = numberAt(bytes, at + 24 + 2 * TREE_BYTES + 8);
    return { slot, pageSize, lastPage, transaction, free, main };
  }
}

/** Returns the page size according to the first readable meta page, or undefined. */
export function pageSizeOf(file: PageFile): number | undefined {
  for (const pageSize of [4096, 512, 1024, 2048, 8192, 16_384, 32_768, 65_536]) {
    for (const slot of [0, 1] as const) {
      const found = metaOrDamage(file, slot, pageSize);
      if (!(found instanceof PageDamage)) return pageSize;
    }
  }
  return undefined;
}

export function metaOrDamage(file: PageFile, slot: 0 | 1, pageSize: number): MetaPage | PageDamage {
  try {
    return file.meta(slot, pageSize);
  } catch (error) {
    if (error instanceof PageDamage) return error;
    throw error;
  }
}

export function headerOf(page: Buffer): PageHeader {
  return {
    number: numberAt(page, 0),
    transaction: numberAt(page, 8),
    flags: page.readUInt16LE(18),
    lower: page.readUInt16LE(20),
    upper: page.readUInt16LE(22),
    overflowPages: page.readUInt32LE(20),
  };
}

/** Returns the node at an offset of a page, or undefined when it does not fit there. */
export function nodeAt(page: Buffer, offset: number): PageNode | undefined {
  const start = PAGE_HEADER_BYTES + offset;
  if (start + NODE_HEADER_BYTES > page.length) return undefined;
  const low = page.readUInt16LE(start);
  const high = page.readUInt16LE(start + 2);
  const flags = page.readUInt16LE(start + 4);
  const keyEnd = start + NODE_HEADER_BYTES + page.readUInt16LE(start + 6);
  if (keyEnd > page.length) return undefined;
  const isBranch = (headerOf(page).flags & PAGE.BRANCH) !== 0;
  const dataLength = high * 65_536 + low;
  const inlineLength = isBranch ? 0 : (flags & NODE.BIG) !== 0 ? PAGE_HEADER_BYTES : dataLength;
  const end = keyEnd + inlineLength;
  if (end > page.length) return undefined;
  return {
    key: page.subarray(start + NODE_HEADER_BYTES, keyEnd),
    flags,
    dataLength,
    inline: page.subarray(keyEnd, end),
    child: flags * 2 ** 32 + dataLength,
    start,
    end,
  };
}

/** Returns the root of a tree that is stored in a node of the main tree. */
export function treeOf(node: PageNode): TreeRoot {
  if (node.inline.length !== TREE_BYTES) throw new PageDamage("a root of another size");
  return treeAt(node.inline, 0);
}

/** Reads an unsigned 64-bit number. Beyond 2^53 it is imprecise, but larger than anything that it is compared with. */
export function numberAt(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}

function treeAt(bytes: Buffer, at: number): TreeRoot {
  const root = bytes.readBigUInt64LE(at + 40);
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: numberAt(bytes, at + 8),
    leafPages: numberAt(bytes, at + 16),
    overflowPages: numberAt(bytes, at + 24),
    entries: numberAt(bytes, at + 32),
    root: root === NO_PAGE ? null : Number(root),
  };
}
