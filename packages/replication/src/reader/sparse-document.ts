import { LT_AGE, LT_REMAINING } from "@tributary/merge-engine";
import jsonPatch from "fast-json-patch";
import { ENTRIES_PER_STEP, MAX_RECALLED_BYTES } from "../constants.js";
import {
  type BareObject,
  type FeedOperation,
  type FeedPatchContent,
  isBareObject,
  withoutPrototypes,
} from "../feed-operations.js";
import { COLLECTION } from "../patch-builder.js";
import type { FeedKind } from "../types.js";
import type { Version } from "../version.js";
import { formatVersion, parseVersion } from "../version.js";

/** How much of an entry a patch builds on: that it is there, its times, or all of it. */
export type Recall = "presence" | "times" | "whole";

/** What the reader holds of an entry, as JSON text; undefined when the feed has none. */
export type EntryLookup = (href: string, recall: Recall) => string | undefined;

export type SparseOutcome =
  | {
      readonly kind: "applied";
      readonly version: Version;
      readonly complete: boolean;
      /** The document was replaced as a whole (`replace ""`). */
      readonly isFresh: boolean;
      /** Every entry that the patch changed, with its new value; undefined: removed. */
      readonly entries: ReadonlyMap<string, unknown>;
      /** Entries of which the patch changed nothing but the age. */
      readonly renewedOnly: ReadonlySet<string>;
      /** The RD's clock when it made the patch, as it stands there. */
      readonly clock: unknown;
    }
  | { readonly kind: "gap"; readonly expected: string }
  | { readonly kind: "malformed"; readonly message: string };

/**
 * Applies a feed patch to the part of the document that it touches: the same result as on the whole document, in time and
 * memory proportional to the patch, in steps. All or nothing. Pure, if what `lookup` reads does not change meanwhile.
 */
export function* applyToSparseDocument(
  kind: FeedKind,
  { document: start, isFresh, operations }: FeedPatchContent,
  held: { readonly version: Version | null; readonly complete: boolean },
  lookup: EntryLookup,
): Generator<void, SparseOutcome> {
  const heldText = held.version === null ? null : formatVersion(held.version);
  const expected = isFresh ? undefined : operations[0]?.value;
  if (!isFresh && (heldText === null || expected !== heldText)) return { kind: "gap", expected: String(expected) };
  const touched = touchedEntries(operations);
  const document = isFresh ? start : yield* recallDocument(kind, heldText ?? "", held.complete, touched, lookup);
  if (typeof document === "string") return malformed(document);
  if (!isBareObject(document)) return malformed("the document is not an object");
  const entries = document[COLLECTION[kind]];
  if (!isBareObject(entries)) return malformed(`the document has no \`${COLLECTION[kind]}\``);
  let applied = 0;
  try {
    for (const operation of operations) {
      if (++applied % ENTRIES_PER_STEP === 0) yield;
      applyOne(document, entries, operation);
    }
  } catch (error) {
    // A failed `test` on anything but the version, or a path that is not there: the two documents differ, although the
    // patch builds on the version that is held.
    if (!isFresh) return { kind: "gap", expected: heldText ?? "" };
    return malformed(`the document cannot be made: ${error instanceof Error ? error.name : String(error)}`);
  }
  const version = parseVersion(document.version);
  if (version === null) return malformed("the document has no valid version");
  return {
    kind: "applied",
    version,
    complete: document.complete === true,
    isFresh,
    entries: changedEntries(entries, isFresh ? Object.keys(entries) : touched.changed.keys()),
    renewedOnly: new Set(
      isFresh ? [] : [...touched.changed].filter(([, isAgeOnly]) => isAgeOnly).map(([href]) => href),
    ),
    clock: document.clock,
  };
}

/**
 * `test` is ours: the comparison of the library asks its operands for `hasOwnProperty`, which objects without prototype
 * do not have. Everything else is RFC 6902 by the library, with its validation: a path that is not there fails.
 */
function applyOne(document: BareObject, entries: BareObject, { op, path, value, target }: FeedOperation): void {
  if (op === "test") {
    if (!isEqual(jsonPatch.getValueByPointer(document, path), value)) throw new Error("test failed");
    return;
  }
  if (op === "remove" && target.kind === "entry") {
    // What the endpoint feed has removed is not held any more when the resource feed removes it: it may be missing here.
    delete entries[target.href];
    return;
  }
  const operation = op === "remove" ? { op, path } : { op, path, value };
  jsonPatch.applyOperation(document, operation, true, true, false);
  // The two ages say the same; the one that came last counts.
  if (target.kind !== "age" || op === "remove") return;
  const entry = entries[target.href] as BareObject;
  if (target.member === LT_AGE) delete entry[LT_REMAINING];
  if (target.member === LT_REMAINING) delete entry[LT_AGE];
}

function changedEntries(entries: BareObject, hrefs: Iterable<string>): Map<string, unknown> {
  const changed = new Map<string, unknown>();
  for (const href of hrefs) changed.set(href, entries[href]);
  return changed;
}

interface Touched {
  /** Entries that are changed; the flag says that only their age is set. */
  readonly changed: ReadonlyMap<string, boolean>;
  /** What has to be known of entries before the patch can be applied. */
  readonly recalled: ReadonlyMap<string, Recall>;
}

const RECALL_ORDER: readonly Recall[] = ["presence", "times", "whole"];

function touchedEntries(operations: readonly FeedOperation[]): Touched {
  const changed = new Map<string, boolean>();
  const recalled = new Map<string, Recall>();
  for (const { op, target } of operations) {
    if (target.kind === "member") continue;
    const { kind, href } = target;
    const isAgeSet = kind === "age" && (op === "add" || op === "replace");
    const recall = op === "test" || (kind === "age" && !isAgeSet) ? "whole" : isAgeSet ? "times" : "presence";
    const before = recalled.get(href) ?? "presence";
    recalled.set(href, RECALL_ORDER.indexOf(recall) > RECALL_ORDER.indexOf(before) ? recall : before);
    if (op !== "test") changed.set(href, isAgeSet && changed.get(href) !== false);
  }
  return { changed, recalled };
}

/** The held document as far as the patch builds on it, or why that would be too much. */
function* recallDocument(
  kind: FeedKind,
  version: string,
  complete: boolean,
  { recalled }: Touched,
  lookup: EntryLookup,
): Generator<void, BareObject | string> {
  const entries = Object.create(null) as BareObject;
  let bytes = 0;
  let looked = 0;
  for (const [href, recall] of recalled) {
    if (++looked % ENTRIES_PER_STEP === 0) yield;
    const text = lookup(href, recall);
    if (text === undefined) continue;
    bytes += text.length;
    if (bytes > MAX_RECALLED_BYTES) return `the patch builds on more than ${MAX_RECALLED_BYTES} bytes of what is held`;
    entries[href] = withoutPrototypes(JSON.parse(text));
  }
  return Object.assign(Object.create(null) as BareObject, { version, complete, [COLLECTION[kind]]: entries });
}

/** Whether two JSON values are equal (RFC 6902 section 4.6). Their depth is bounded. */
function isEqual(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isEqual(item, other[index]));
  if (!isBareObject(one) || !isBareObject(other)) return one === other;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isEqual(one[name], other[name]))
  );
}

function malformed(message: string): SparseOutcome {
  return { kind: "malformed", message };
}
