import {
  boolCoreTag,
  EVENT_ID,
  type Event,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from "js-yaml";
import { type EnvironmentVariables, replaceVariables } from "./environment-values.js";

/** A YAML value with its offset in the text, in UTF-16 units. */
export type YamlNode =
  | { readonly kind: "scalar"; readonly offset: number; readonly value: string | number | boolean | null }
  | { readonly kind: "sequence"; readonly offset: number; readonly items: readonly YamlNode[] }
  | { readonly kind: "mapping"; readonly offset: number; readonly entries: readonly YamlEntry[] };

/** A key of a mapping, with its value. */
export interface YamlEntry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: YamlNode;
}

/** An error of the YAML syntax. */
export interface YamlProblem {
  readonly offset: number;
  readonly message: string;
}

/** A parsed document, with its problems. */
export interface YamlDocument {
  /** Null when there is no document, or none that can be read. */
  readonly root: YamlNode | null;
  readonly problems: readonly YamlProblem[];
}

/** Largest number of nodes of a document after aliases are expanded. */
const MAX_EXPANDED_NODES = 1_000_000;
/** YAML 1.2 core schema, section 10.3.2, in the order of its table. */
const IMPLICIT_TAGS = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag] as const;
/** Tags that are accepted. */
const KNOWN_TAGS: ReadonlySet<string> = new Set([
  "!",
  "!!str",
  "!!int",
  "!!float",
  "!!bool",
  "!!null",
  "!!seq",
  "!!map",
]);

/** Corrections by the message of the parser. */
const REMEDIES: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [/tab/, "indent with spaces"],
  [/bad indentation of a mapping entry/, 'put the value in quotes when it contains ": "'],
  [/indentation/, "close the bracket or quote before, and indent entries of one mapping alike"],
  [/non-printable/, 'remove the character, or write it as an escape such as "\\x01" in double quotes'],
  [/end of the stream or a document separator/, "indent the entries of one mapping alike"],
  [/flow (collection|sequence|mapping)/, 'put values with brackets or commas in quotes, such as ["coap://[::]:5683"]'],
  [/unexpected end of the (stream|document)/, "close the bracket or quote that was opened"],
];

/**
 * Parses a YAML 1.2 text with exactly one document, with positions. Reports all problems that the parser accepts. `variables`: environment
 * variables, which values may contain. Pure.
 */
export function readYaml(text: string, variables?: EnvironmentVariables): YamlDocument {
  let events: Event[];
  try {
    events = parseEvents(text, {});
  } catch (error) {
    return { root: null, problems: [syntaxProblem(error, text)] };
  }
  return new DocumentBuilder(text, events, variables).build();
}

function syntaxProblem(error: unknown, text: string): YamlProblem {
  if (!(error instanceof YAMLException)) throw error;
  const offset = Math.min(error.mark?.position ?? 0, text.length);
  const misaligned = /indentation/.test(error.reason) ? misalignedLine(text, offset) : undefined;
  if (misaligned !== undefined) return { offset, message: `not YAML: ${misaligned}` };
  const remedy = REMEDIES.find(([pattern]) => pattern.test(error.reason))?.[1] ?? "see https://yaml.org for the syntax";
  return { offset, message: `not YAML: ${error.reason}; ${remedy}` };
}

const KEY_LINE = /^( *)(?:- +)*[\w"'.-]+ *:(?:\s|$)/;

/** What is wrong with a line that begins with a key where no entry above it begins; undefined: it is something else. */
function misalignedLine(text: string, offset: number): string | undefined {
  const lines = text.slice(0, offset).split("\n");
  const at = lines.length - 1;
  const line = text.split("\n")[at] ?? "";
  const indent = KEY_LINE.exec(line)?.[1]?.length;
  if (indent === undefined) return undefined;
  const above = new Set(lines.slice(0, at).flatMap((one) => KEY_LINE.exec(one)?.[1]?.length ?? []));
  if (above.has(indent)) return undefined;
  const known = [...above].sort((one, other) => one - other).join(" or ");
  return `this line is indented by ${indent}, and no entry above it by that; indent it by ${known}, like the entries it belongs to`;
}

interface Anchored {
  readonly node: YamlNode;
  readonly size: number;
}

/** Builds a tree with positions from the events of the parser. */
class DocumentBuilder {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #variables: EnvironmentVariables | undefined;
  readonly #problems: YamlProblem[] = [];
  readonly #anchors = new Map<string, Anchored>();
  #next = 0;
  /** Nodes so far, with expanded aliases. */
  #size = 0;
  /** End of the last token: the position of an empty value. */
  #end = 0;

  constructor(text: string, events: readonly Event[], variables: EnvironmentVariables | undefined) {
    this.#text = text;
    this.#events = events;
    this.#variables = variables;
  }

  build(): YamlDocument {
    let root: YamlNode | null = null;
    let documents = 0;
    while (this.#next < this.#events.length) {
      const event = this.#take();
      if (event.type !== EVENT_ID.DOCUMENT) continue;
      documents++;
      const isEmpty = this.#peek()?.type === EVENT_ID.POP;
      const node = isEmpty ? null : this.#node(this.#end);
      if (documents === 1) root = node;
      else if (documents === 2)
        this.#report(node?.offset ?? this.#end, "a second document begins here; keep one document in the file");
    }
    return { root, problems: this.#problems };
  }

  #peek(): Event | undefined {
    return this.#events[this.#next];
  }

  #take(): Event {
    return this.#events[this.#next++] as Event;
  }

  #report(offset: number, message: string): void {
    this.#problems.push({ offset, message });
  }

  /**
   * Reads the node that begins with the next event; `emptyOffset` is its position if it is an empty value. Variables in keys are not
   * replaced.
   */
  #node(emptyOffset: number, isKey = false): YamlNode {
    const event = this.#take();
    switch (event.type) {
      case EVENT_ID.SCALAR:
        return this.#anchored(event, () => this.#scalar(event, emptyOffset, isKey));
      case EVENT_ID.SEQUENCE:
        return this.#anchored(event, () => this.#sequence(event.start));
      case EVENT_ID.MAPPING:
        return this.#anchored(event, () => this.#mapping(event.start));
      case EVENT_ID.ALIAS:
        return this.#alias(event.anchorStart, event.anchorEnd);
      default:
        throw new TypeError(`unexpected YAML event ${event.type}`);
    }
  }

  #anchored(
    event: { anchorStart: number; anchorEnd: number; tagStart: number; tagEnd: number },
    read: () => YamlNode,
  ): YamlNode {
    if (event.tagStart >= 0) this.#checkTag(event.tagStart, event.tagEnd);
    const before = this.#size++;
    const node = read();
    if (event.anchorStart >= 0) {
      this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), { node, size: this.#size - before });
    }
    return node;
  }

  #checkTag(start: number, end: number): void {
    const tag = this.#text.slice(start, end);
    if (!KNOWN_TAGS.has(tag)) this.#report(start, `unknown tag ${tag}; remove it`);
  }

  #scalar(event: ScalarEvent, emptyOffset: number, isKey: boolean): YamlNode {
    if (event.valueStart < 0)
      return { kind: "scalar", offset: emptyOffset, value: hasTextTag(event, this.#text) ? "" : null };
    const isQuoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    this.#end = event.valueEnd;
    const offset = event.valueStart - (isQuoted ? 1 : 0);
    const source = isKey
      ? getScalarValue(this.#text, event)
      : this.#replaced(getScalarValue(this.#text, event), offset);
    const isText = event.style !== SCALAR_STYLE.PLAIN || hasTextTag(event, this.#text);
    return {
      kind: "scalar",
      offset,
      value: isText ? source : resolveImplicitly(source),
    };
  }

  #replaced(source: string, offset: number): string {
    if (this.#variables === undefined || !source.includes("${")) return source;
    const replaced = replaceVariables(source, this.#variables);
    if (replaced.ok) return replaced.text;
    this.#report(offset, replaced.message);
    return source;
  }

  #sequence(start: number): YamlNode {
    const items: YamlNode[] = [];
    this.#end = start;
    while (this.#peek()?.type !== EVENT_ID.POP) items.push(this.#node(this.#skipFiller(this.#end)));
    this.#take();
    return { kind: "sequence", offset: start, items };
  }

  #mapping(start: number): YamlNode {
    const entries = new Map<string, YamlEntry>();
    this.#end = start;
    while (this.#peek()?.type !== EVENT_ID.POP) {
      const key = this.#node(this.#end, true);
      const value = this.#node(key.offset);
      if (key.kind !== "scalar" || typeof key.value !== "string") {
        this.#report(key.offset, "a key that is not text; write a name, without brackets");
        continue;
      }
      if (entries.has(key.value)) this.#report(key.offset, `duplicate key "${key.value}"; remove one of them`);
      else entries.set(key.value, { key: key.value, keyOffset: key.offset, value });
    }
    this.#take();
    return { kind: "mapping", offset: start, entries: [...entries.values()] };
  }

  #alias(start: number, end: number): YamlNode {
    const name = this.#text.slice(start, end);
    const target = this.#anchors.get(name);
    this.#end = end;
    this.#size += target?.size ?? 1;
    if (target !== undefined && this.#size <= MAX_EXPANDED_NODES) return target.node;
    this.#report(
      start - 1,
      target === undefined
        ? `alias *${name} of nothing; write &${name} before the value that it repeats`
        : `alias *${name} makes the document too large; write less`,
    );
    return { kind: "scalar", offset: start - 1, value: null };
  }

  /** Skips white space, comments and closing marks between two items. */
  #skipFiller(offset: number): number {
    FILLER.lastIndex = offset;
    FILLER.exec(this.#text);
    return FILLER.lastIndex;
  }
}

const FILLER = /(?:[\s\]},"']|#[^\n]*)*/y;

function hasTextTag({ tagStart, tagEnd }: ScalarEvent, text: string): boolean {
  const tag = tagStart < 0 ? "" : text.slice(tagStart, tagEnd);
  return tag === "!" || tag === "!!str";
}

function resolveImplicitly(source: string): string | number | boolean | null {
  for (const tag of IMPLICIT_TAGS) {
    const value = tag.resolve(source, false, tag.tagName);
    if (value !== NOT_RESOLVED) return value as number | boolean | null;
  }
  return source;
}

/**
 * Converts a node to its plain value, without the entries whose keys are left out; `parent` is the key of the mapping that has them.
 * Pure.
 */
export function toPlain(
  node: YamlNode,
  isLeftOut: (key: string, parent: string) => boolean = () => false,
  parent = "",
): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "sequence":
      return node.items.map((item) => toPlain(item, isLeftOut, parent));
    case "mapping":
      return Object.fromEntries(
        node.entries.flatMap(({ key, value }) =>
          isLeftOut(key, parent) ? [] : [[key, toPlain(value, isLeftOut, key)]],
        ),
      );
    default:
      return node satisfies never;
  }
}
