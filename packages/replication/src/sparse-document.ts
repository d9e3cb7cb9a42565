import jsonPatch, { type Operation } from "fast-json-patch";
import { MAX_OPERATIONS } from "./constants.js";
import { COLLECTION } from "./patch-builder.js";
import type { FeedKind } from "./types.js";
import type { Version } from "./version.js";
import { formatVersion, parseVersion } from "./version.js";

/** What the reader knows of an entry while a patch is applied: its JSON value, or undefined when the feed has none. */
export type EntryLookup = (href: string) => unknown;

export type SparseOutcome =
  | {
      readonly kind: "applied";
      readonly version: Version;
      readonly complete: boolean;
      /** The document was started anew by `replace ""`. */
      readonly isFresh: boolean;
      /** Every entry that the patch touched, with its new value; undefined: removed. */
      readonly entries: ReadonlyMap<string, unknown>;
      /** Entries of which the patch changed nothing but the age. */
      readonly renewedOnly: ReadonlySet<string>;
      /** The RD's clock when it made the patch, as it stands there. */
      readonly clock: unknown;
    }
  | { readonly kind: "gap"; readonly expected: string }
  | { readonly kind: "malformed"; readonly message: string };

type Entries = Record<string, unknown>;

/**
 * Apply a feed patch to the part of the document that it touches: the same result as on the whole document, in time and
 * memory proportional to the patch. All or nothing. Pure.
 */
export function applyToSparseDocument(
  kind: FeedKind,
  patchText: string,
  held: { readonly version: Version | null; readonly complete: boolean },
  lookup: EntryLookup,
): SparseOutcome {
  const operations = parseOperations(patchText);
  if (typeof operations === "string") return malformed(operations);
  const first = operations[0] as Operation;
  const isFresh = first.path === "" && first.op === "replace";
  if (!isFresh) {
    if (first.op !== "test" || first.path !== "/version")
      return malformed("the first operation is not `test /version`");
    const heldText = held.version === null ? null : formatVersion(held.version);
    if (first.value !== heldText) return { kind: "gap", expected: String(first.value) };
  }
  const touched = touchedEntries(kind, operations);
  if (typeof touched === "string") return malformed(touched);
  const entries: Entries = Object.create(null) as Entries;
  if (!isFresh) materialise(touched, lookup, entries);
  const version = held.version === null ? "" : formatVersion(held.version);
  const document = { version, complete: held.complete, [COLLECTION[kind]]: entries };
  return run(kind, document, operations, touched, isFresh ? null : version);
}

function run(
  kind: FeedKind,
  document: object,
  operations: readonly Operation[],
  touched: Touched,
  heldText: string | null,
): SparseOutcome {
  const isFresh = heldText === null;
  let result: Readonly<Record<string, unknown>>;
  try {
    result = jsonPatch.applyPatch(document, operations, false, true).newDocument as typeof result;
  } catch (error) {
    // A failed `test` on anything but the version, or a path that is not there: the two documents differ, although the
    // patch builds on the version that is held.
    if (!isFresh) return { kind: "gap", expected: heldText };
    return malformed(`the document cannot be made: ${error instanceof Error ? error.name : String(error)}`);
  }
  if (typeof result !== "object" || result === null) return malformed("the document is not an object");
  const version = parseVersion(result.version);
  if (version === null) return malformed("the document has no valid version");
  const collection = result[COLLECTION[kind]];
  if (typeof collection !== "object" || collection === null || Array.isArray(collection)) {
    return malformed(`the document has no \`${COLLECTION[kind]}\``);
  }
  const entries = new Map<string, unknown>();
  for (const href of isFresh ? Object.keys(collection) : touched.all.keys()) {
    entries.set(href, Object.hasOwn(collection, href) ? (collection as Entries)[href] : undefined);
  }
  const renewedOnly = new Set([...touched.all].filter(([, isAgeOnly]) => isAgeOnly).map(([href]) => href));
  return {
    kind: "applied",
    version,
    complete: result.complete === true,
    isFresh,
    entries,
    renewedOnly,
    clock: result.clock,
  };
}

/** Entries by href; the flag says that only their age is set. */
interface Touched {
  readonly all: Map<string, boolean>;
  /** Entries whose present value the patch builds on (everything but a plain `add` of the whole entry). */
  readonly needed: Set<string>;
}

function touchedEntries(kind: FeedKind, operations: readonly Operation[]): Touched | string {
  const touched: Touched = { all: new Map(), needed: new Set() };
  for (const operation of operations) {
    if (operation.path === "" && operation === operations[0]) continue;
    const problem = touch(kind, operation.path, operation, touched);
    if (problem !== null) return problem;
    if (operation.op === "move" || operation.op === "copy") {
      const fromProblem = touch(kind, operation.from, operation, touched);
      if (fromProblem !== null) return fromProblem;
    }
  }
  return touched;
}

function touch(kind: FeedKind, pointer: string, operation: Operation, touched: Touched): string | null {
  if (pointer === "/version" || pointer === "/complete" || pointer === "/clock") return null;
  const parts = pointer.split("/");
  if (parts[0] !== "" || parts[1] !== COLLECTION[kind] || parts.length < 3)
    return `the path ${pointer} is not part of this feed`;
  const href = jsonPatch.unescapePathComponent(parts[2] as string);
  if (href === "__proto__") return "the path names a prototype";
  const isAge =
    parts.length === 4 && operation.op === "replace" && (parts[3] === "lt-age" || parts[3] === "lt-remaining");
  const isWholeAdd = parts.length === 3 && operation.op === "add";
  if (!isWholeAdd && !touched.all.has(href)) touched.needed.add(href);
  touched.all.set(href, isAge && touched.all.get(href) !== false);
  return null;
}

function materialise(touched: Touched, lookup: EntryLookup, entries: Entries): void {
  for (const href of touched.needed) {
    const value = lookup(href);
    if (value !== undefined) entries[href] = value;
  }
}

function parseOperations(text: string): readonly Operation[] | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return "the patch is not JSON";
  }
  if (!Array.isArray(parsed) || parsed.length === 0) return "the patch is not a list of operations";
  if (parsed.length > MAX_OPERATIONS) return `the patch has more than ${MAX_OPERATIONS} operations`;
  for (const operation of parsed) {
    const problem = operationProblem(operation);
    if (problem !== null) return problem;
  }
  return parsed as Operation[];
}

const OPERATIONS: ReadonlySet<unknown> = new Set(["add", "remove", "replace", "move", "copy", "test"]);
const WITH_VALUE: ReadonlySet<unknown> = new Set(["add", "replace", "test"]);

function operationProblem(operation: unknown): string | null {
  if (typeof operation !== "object" || operation === null) return "an operation is not an object";
  const { op, path, from } = operation as Record<string, unknown>;
  if (!OPERATIONS.has(op)) return `\`${String(op)}\` is not an operation`;
  if (typeof path !== "string") return "an operation has no path";
  if ((op === "move" || op === "copy") && typeof from !== "string") return `\`${op}\` has no \`from\``;
  if (WITH_VALUE.has(op) && !("value" in operation)) return `\`${String(op)}\` has no value`;
  return null;
}

function malformed(message: string): SparseOutcome {
  return { kind: "malformed", message };
}
