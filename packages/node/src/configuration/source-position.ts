import type { YamlNode } from "./yaml-document.js";

/** A path from the root of a document to a value. */
export type ValuePath = readonly (string | number)[];

/** A position in a text: line and column from 1, columns in characters. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

/** Converts an offset (UTF-16 units) to a position. Lines end with LF, CR LF or CR, as in YAML 1.2 section 5.4. Pure. */
export function positionAt(text: string, offset: number): SourcePosition {
  const before = text.slice(0, offset);
  const breaks = before.match(/\r\n|\n|\r(?!$)/g)?.length ?? 0;
  const lineStart = Math.max(before.lastIndexOf("\n"), before.slice(0, -1).lastIndexOf("\r")) + 1;
  return { line: breaks + 1, column: [...before.slice(lineStart)].length + 1 };
}

/**
 * Returns the offset of the value at a path, or of the deepest existing value on the path. An empty value has the offset of its key.
 * Pure.
 */
export function offsetOfValue(root: YamlNode, path: ValuePath): number {
  let node = root;
  for (const step of path) {
    const next = child(node, step);
    if (next === undefined) break;
    node = next;
  }
  return node.offset;
}

/** Returns the offset of the key `name` in the mapping at `path`. Pure. */
export function offsetOfKey(root: YamlNode, path: ValuePath, name: string): number {
  let node: YamlNode | undefined = root;
  for (const step of path) node = node === undefined ? undefined : child(node, step);
  const entry = node?.kind === "mapping" ? node.entries.find(({ key }) => key === name) : undefined;
  return entry?.keyOffset ?? offsetOfValue(root, path);
}

function child(node: YamlNode, step: string | number): YamlNode | undefined {
  if (node.kind === "sequence" && typeof step === "number") return node.items[step];
  if (node.kind === "mapping") return node.entries.find(({ key }) => key === step)?.value;
  return undefined;
}
