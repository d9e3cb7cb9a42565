import { LT_AGE, LT_REMAINING } from "@tributary/merge-engine";
import jsonPatch from "fast-json-patch";
import { atOnce } from "./at-once.js";
import {
  ENTRIES_PER_STEP,
  MAX_DOCUMENT_DEPTH,
  MAX_OPERATIONS,
  MAX_PATCH_BYTES,
  MAX_SHARED_PATCH_BYTES,
  RENEWED_MEMBER,
  VALUES_PER_STEP,
} from "./constants.js";
import { findExcessOfValues } from "./patch-bounds.js";
import { COLLECTION, utf8Length } from "./patch-builder.js";
import type { FeedKind } from "./types.js";

/** What an operation of a feed patch is about. */
export type OperationTarget =
  | { readonly kind: "member" }
  /** A whole entry. */
  | { readonly kind: "entry"; readonly href: string }
  /** The age of an entry of the endpoint feed. */
  | { readonly kind: "age"; readonly href: string; readonly member: AgeMember };

/** Members that say when an entry was renewed. */
export type AgeMember = typeof LT_AGE | typeof LT_REMAINING | typeof RENEWED_MEMBER;

/** One operation of a feed patch (docs/protocol.md). */
export interface FeedOperation {
  readonly op: "test" | "add" | "replace" | "remove";
  /** JSON Pointer (RFC 6901). */
  readonly path: string;
  /** JSON value whose objects have no prototype; undefined for `remove`. */
  readonly value: unknown;
  readonly target: OperationTarget;
}

/** A JSON object of the feed. It has no prototype, so that no name that an upstream chooses means anything but itself. */
export type BareObject = Record<string, unknown>;

/** A feed patch, reduced to what the protocol allows. */
export interface FeedPatchContent {
  /** The document that `replace ""` starts with; null when the patch builds on a version. */
  readonly document: unknown;
  readonly isFresh: boolean;
  /** All other operations, in order. */
  readonly operations: readonly FeedOperation[];
}

const OPERATIONS: ReadonlySet<unknown> = new Set(["test", "add", "replace", "remove"]);
const MEMBERS: ReadonlySet<string> = new Set(["/version", "/complete", "/clock"]);
const AGES: ReadonlySet<string> = new Set<AgeMember>([LT_AGE, LT_REMAINING, RENEWED_MEMBER]);

/** Levels of the feed document above the value of an operation. */
const DEPTH: Readonly<Record<OperationTarget["kind"], number>> = { member: 1, entry: 2, age: 3 };

/**
 * Parses a feed patch and refuses, with the reason, whatever docs/protocol.md does not provide for: other operations
 * (`move` and `copy` make much out of little), other paths (JSON Pointers of a stranger must not be walked through objects
 * of the program), and more bytes than a patch may have. Pure; never throws.
 */
export function parseFeedPatch(
  kind: FeedKind,
  patch: Uint8Array | string,
  maxBytes = MAX_PATCH_BYTES,
): FeedPatchContent | string {
  return atOnce(parseFeedPatchInSteps(kind, patch, maxBytes));
}

/** The same in steps, of which only `JSON.parse` takes time in proportion to the whole patch. */
export function* parseFeedPatchInSteps(
  kind: FeedKind,
  patch: Uint8Array | string,
  maxBytes = MAX_PATCH_BYTES,
): Generator<void, FeedPatchContent | string> {
  const byteLength = typeof patch === "string" ? utf8Length(patch) : patch.length;
  if (byteLength > maxBytes) return `the patch has more than ${maxBytes} bytes`;
  const text = typeof patch === "string" ? patch : decodeUtf8(patch);
  if (text === null) return "the patch is not UTF-8";
  const excess = findExcessOfValues(text, maxBytes);
  if (excess !== undefined) return excess;
  yield;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return "the patch is not JSON";
  }
  if (!Array.isArray(parsed) || parsed.length === 0) return "the patch is not a list of operations";
  if (parsed.length > MAX_OPERATIONS) return `the patch has more than ${MAX_OPERATIONS} operations`;
  yield;
  const content = yield* readOperations(kind, parsed);
  if (typeof content !== "string" && byteLength > MAX_SHARED_PATCH_BYTES && countEntries(kind, content) > 1)
    return `the patch has more than ${MAX_SHARED_PATCH_BYTES} bytes and is about more than one registration`;
  return content;
}

function* readOperations(kind: FeedKind, items: readonly unknown[]): Generator<void, FeedPatchContent | string> {
  const [first, ...rest] = items;
  const isFresh = isOperation(first) && first.op === "replace" && first.path === "";
  const operations: FeedOperation[] = [];
  for (const item of isFresh ? rest : items) {
    const operation = yield* readOperation(kind, item);
    if (typeof operation === "string") return operation;
    operations.push(operation);
    if (operations.length % ENTRIES_PER_STEP === 0) yield;
  }
  if (isFresh) return { document: yield* withoutPrototypesInSteps(first.value), isFresh, operations };
  const [start] = operations;
  if (start?.op !== "test" || start.path !== "/version") return "the first operation is not `test /version`";
  return { document: null, isFresh, operations };
}

function* readOperation(kind: FeedKind, item: unknown): Generator<void, FeedOperation | string> {
  if (!isOperation(item)) return "an operation is not an object with `op` and `path`";
  const { op, path } = item;
  if (!OPERATIONS.has(op)) return `\`${clipped(op)}\` is not an operation of a feed`;
  if (op !== "remove" && !Object.hasOwn(item, "value")) return `\`${op}\` has no value`;
  const target = readTarget(kind, path);
  if (target === null) return `the path ${clipped(path)} is not part of this feed`;
  const value = op === "remove" ? undefined : yield* withoutPrototypesInSteps(item.value, DEPTH[target.kind]);
  return { op: op as FeedOperation["op"], path, value, target };
}

function readTarget(kind: FeedKind, path: string): OperationTarget | null {
  if (MEMBERS.has(path)) return { kind: "member" };
  const parts = path.split("/", 5);
  if (parts[0] !== "" || parts[1] !== COLLECTION[kind] || parts[2] === undefined) return null;
  const href = jsonPatch.unescapePathComponent(parts[2]);
  if (parts.length === 3) return { kind: "entry", href };
  const member = parts[3] as string;
  if (kind !== "ep" || parts.length !== 4 || !AGES.has(member)) return null;
  return { kind: "age", href, member: member as AgeMember };
}

function countEntries(kind: FeedKind, { document, operations }: FeedPatchContent): number {
  const hrefs = new Set<string>();
  for (const { target } of operations) if (target.kind !== "member") hrefs.add(target.href);
  const entries = isBareObject(document) ? document[COLLECTION[kind]] : undefined;
  return hrefs.size + (isBareObject(entries) ? Object.keys(entries).length : 0);
}

function isOperation(item: unknown): item is { readonly op: string; readonly path: string; readonly value?: unknown } {
  if (typeof item !== "object" || item === null || Array.isArray(item)) return false;
  const { op, path } = item as { op?: unknown; path?: unknown };
  return typeof op === "string" && typeof path === "string";
}

/** Whether a value read here is a JSON object. Pure. */
export function isBareObject(value: unknown): value is BareObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A JSON value with objects that have no prototype. What is nested deeper than a feed document is becomes `null`, which is
 * no valid part of an entry: that entry is left out, the others are taken. Pure.
 */
export function withoutPrototypes(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DOCUMENT_DEPTH) return null;
  if (Array.isArray(value)) return value.map((item) => withoutPrototypes(item, depth + 1));
  const object = Object.create(null) as BareObject;
  for (const name of Object.keys(value)) object[name] = withoutPrototypes((value as BareObject)[name], depth + 1);
  return object;
}

/** The same in steps, where there is much of it. */
function* withoutPrototypesInSteps(value: unknown, depth = 0): Generator<void, unknown> {
  if (depth >= MAX_DOCUMENT_DEPTH || typeof value !== "object" || value === null)
    return withoutPrototypes(value, depth);
  const isOfDocument = depth < DEPTH.entry && isBareObject(value);
  const names = Object.keys(value);
  if (!isOfDocument && names.length < VALUES_PER_STEP) return withoutPrototypes(value, depth);
  const perStep = isOfDocument ? ENTRIES_PER_STEP : VALUES_PER_STEP;
  const copy = (Array.isArray(value) ? [] : Object.create(null)) as BareObject;
  let taken = 0;
  for (const name of names) {
    if (++taken % perStep === 0) yield;
    copy[name] = yield* withoutPrototypesInSteps((value as BareObject)[name], depth + 1);
  }
  return copy;
}

function clipped(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
