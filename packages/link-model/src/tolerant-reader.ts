import {
  BYTES_PER_PIECE,
  BYTES_PER_STEP,
  CHARACTERS_PER_STEP,
  LINKS_PER_STEP,
  MAX_LINK_LENGTH,
  MAX_PROBLEMS,
} from "./constants.js";
import { readLinks, readLinksOfPiece } from "./link-format-reader.js";
import { leastLinkBytes } from "./link-size.js";
import type { Attribute, Link, LinkFormatProblem, TolerantParseResult } from "./types.js";

/**
 * Reads a document that is almost link format, as some RDs write it, wherever it is unambiguous: values with blanks, empty
 * values, UTF-8 outside quotes, empty list elements, missing commas before a target, bytes that are not UTF-8. A link is read
 * with all its attributes, or left out and counted; nothing of one link becomes part of another. The document ends at an
 * unclosed target or quotation mark, at a quotation mark that opens no value, and at a link of more than
 * 131,072 characters. Runs in linear time. Pure; never throws.
 */
export function parseLinkFormatTolerantly(input: string | Uint8Array): TolerantParseResult {
  const steps = readTolerantly(input);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/**
 * Does the same in steps of about 0.1 ms, or a few milliseconds where a link is very long. The caller decides how many steps
 * make one turn of the event loop.
 */
export function* readTolerantly(input: string | Uint8Array): Generator<void, TolerantParseResult> {
  const whole = typeof input === "string" ? null : yield* readStrictlyInPieces(input);
  if (whole !== null) return { links: whole, problems: [], leftOut: 0, isTruncated: false };
  const { text, problem } = yield* decode(input);
  const strict: Link[] = [];
  const end = problem === null ? yield* readLinks(text, strict, MAX_LINK_LENGTH) : problem;
  if (end === null && (yield* countOf(text, "<")) === strict.length)
    return { links: strict, problems: [], leftOut: 0, isTruncated: false };
  const reader = new TolerantReader(text);
  const links: Link[] = [];
  const problems: LinkFormatProblem[] = end === null ? [] : [end];
  // Names that differ only in bytes that are not UTF-8 would become equal.
  const isGarbled = problem !== null;
  let leftOut = 0;
  let lastPauseAt = 0;
  for (let item = reader.next(); item !== null; item = reader.next()) {
    if ((links.length + leftOut) % LINKS_PER_STEP === 0 || reader.at - lastPauseAt >= CHARACTERS_PER_STEP) {
      lastPauseAt = reader.at;
      yield;
    }
    if (item === PAUSE) continue;
    if ("link" in item && !(isGarbled && isReplaced(item.link))) links.push(item.link);
    else {
      leftOut++;
      const { offset } = item;
      const reason = "link" in item ? "invalid-utf8" : item.reason;
      const message = `a link is left out (${reason}) at offset ${offset}`;
      if (problems.length < MAX_PROBLEMS) problems.push({ reason, offset, message });
    }
  }
  return { links, problems, leftOut, isTruncated: reader.isTruncated };
}

/** Reads a document piece by piece, so that its text is never one long string; null if it is not strict link format. */
function* readStrictlyInPieces(input: Uint8Array): Generator<void, Link[] | null> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const links: Link[] = [];
  let targets = 0;
  let rest = "";
  for (let at = 0; at <= input.length; at += BYTES_PER_PIECE) {
    const isLast = at + BYTES_PER_PIECE > input.length;
    const piece = decodePiece(decoder, input.subarray(at, at + BYTES_PER_PIECE), isLast);
    if (piece === null) return null;
    targets += yield* countOf(piece, "<");
    const text = rest + piece;
    const read = yield* readLinksOfPiece(text, links, { isLast, maxLinkLength: MAX_LINK_LENGTH });
    if (read.problem !== null) return null;
    rest = text.slice(read.end);
    yield;
  }
  return targets === links.length ? links : null;
}

/** Returns null for what is not UTF-8. */
function decodePiece(decoder: TextDecoder, bytes: Uint8Array, isLast: boolean): string | null {
  try {
    return decoder.decode(bytes, { stream: !isLast });
  } catch {
    return null;
  }
}

/** Decodes a document in steps; invalid UTF-8 is replaced and reported. */
function* decode(
  input: string | Uint8Array,
): Generator<void, { readonly text: string; readonly problem: LinkFormatProblem | null }> {
  if (typeof input === "string") return { text: input, problem: null };
  const parts: string[] = [];
  if (yield* decodeInto(parts, input, true)) return { text: parts.join(""), problem: null };
  parts.length = 0;
  yield* decodeInto(parts, input, false);
  let offset = 0;
  for (const part of parts) {
    const at = part.indexOf("\ufffd");
    offset += at < 0 ? part.length : at;
    if (at >= 0) break;
    yield;
  }
  const problem = { reason: "invalid-utf8", offset, message: "the document is not UTF-8" };
  return { text: parts.join(""), problem };
}

/** Returns false when `fatal` is set and some of the input is not UTF-8. */
function* decodeInto(parts: string[], input: Uint8Array, fatal: boolean): Generator<void, boolean> {
  const decoder = new TextDecoder("utf-8", { fatal, ignoreBOM: true });
  for (let at = 0; at <= input.length; at += BYTES_PER_STEP) {
    const stream = at + BYTES_PER_STEP <= input.length;
    try {
      parts.push(decoder.decode(input.subarray(at, at + BYTES_PER_STEP), { stream }));
    } catch {
      return false;
    }
    yield;
  }
  return true;
}

function* countOf(text: string, character: string): Generator<void, number> {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) if (++count % 1024 === 0) yield;
  return count;
}

function isReplaced({ target, attributes }: Link): boolean {
  const isAltered = (text: string | null) => text?.includes("\ufffd") === true;
  return isAltered(target) || attributes.some(([name, value]) => isAltered(name) || isAltered(value));
}

/** A link, or the reason why one is left out; with its offset. */
type Item = { readonly offset: number } & ({ readonly link: Link } | { readonly reason: string });
/** Stands for a step that skipped text without reaching a link. */
const PAUSE = Symbol("pause");

/** A value, or the reason why it cannot be read. */
type Read<T> = { readonly value: T } | { readonly reason: string };

const BLANK = /\s/;
/** A character of a name: those of RFC 6690, and any other character that is not a delimiter. */
const NAME = /[^\s"<>,;=]/;

/** Reads links one by one. */
class TolerantReader {
  readonly #text: string;
  #at = 0;
  /** Limit of the present step or link. */
  #end = 0;
  /** Set while text that is not a link is being skipped. */
  #junk: { isAfterEquals: boolean } | null = null;
  /** Whether the rest of the document cannot be read. */
  isTruncated = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** The reading position. */
  get at(): number {
    return this.#at;
  }

  /** Returns the next link or what takes its place; null at the end. */
  next(): Item | typeof PAUSE | null {
    this.#end = Math.min(this.#text.length, this.#at + CHARACTERS_PER_STEP);
    if (this.#junk !== null && !this.#skipJunk(this.#junk)) return PAUSE;
    this.#junk = null;
    this.#skip((character) => character === "," || BLANK.test(character));
    if (this.#isAtEnd) return null;
    if (this.#at >= this.#end) return PAUSE;
    const offset = this.#at;
    this.#end = Math.min(this.#text.length, offset + MAX_LINK_LENGTH);
    const link = this.#readLink();
    // A link that cannot be written cannot be part of a lookup result.
    if ("value" in link && leastLinkBytes(link.value) === undefined) return { reason: "bad-attribute", offset };
    if ("value" in link) return { link: link.value, offset };
    if (!this.isTruncated) this.#junk = { isAfterEquals: false };
    return { reason: link.reason, offset };
  }

  get #isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #skip(belongs: (character: string) => boolean): void {
    while (this.#at < this.#end && belongs(this.#peek())) this.#at++;
  }

  #skipBlanks(): void {
    this.#skip((character) => BLANK.test(character));
  }

  /** Whether the limit lies before the end of the document. */
  get #isCutShort(): boolean {
    return this.#end < this.#text.length;
  }

  /** Ends the document here. */
  #stop(reason: string): { readonly reason: string } {
    this.isTruncated = true;
    this.#at = this.#text.length;
    return { reason };
  }

  #readLink(): Read<Link> {
    if (this.#peek() !== "<") return { reason: "expected-target" };
    const close = this.#text.slice(this.#at, this.#end).indexOf(">") + this.#at;
    if (close < this.#at) return this.#stop(this.#isCutShort ? "too-long" : "unclosed-target");
    const target = this.#text.slice(this.#at + 1, close).trim();
    this.#at = close + 1;
    if (/[\s"<\u0000-\u001f]/.test(target)) return { reason: "bad-target" };
    const attributes: Attribute[] = [];
    for (;;) {
      this.#skipBlanks();
      if (this.#at >= this.#end && this.#isCutShort) return this.#stop("too-long");
      const character = this.#peek();
      // A target can only belong to the next link, with or without a comma before it.
      if (this.#isAtEnd || character === "," || character === "<") return { value: { target, attributes } };
      if (character !== ";") return { reason: "expected-separator" };
      this.#at++;
      this.#skipBlanks();
      if (this.#isAtEnd || ";,<".includes(this.#peek())) continue;
      const attribute = this.#readAttribute();
      if ("reason" in attribute) return attribute;
      attributes.push(attribute.value);
    }
  }

  #readAttribute(): Read<Attribute> {
    const start = this.#at;
    this.#skip((character) => NAME.test(character));
    const name = this.#text.slice(start, this.#at);
    if (name === "") return { reason: "empty-name" };
    this.#skipBlanks();
    if (this.#peek() !== "=") return { value: [name, null] };
    this.#at++;
    this.#skipBlanks();
    const value = this.#peek() === '"' ? this.#readQuoted() : this.#readUnquoted();
    return "reason" in value ? value : { value: [name, value.value] };
  }

  #readQuoted(): Read<string> {
    let value = "";
    for (let at = this.#at + 1; at < this.#end; at++) {
      const character = this.#text[at] as string;
      if (character === '"') {
        this.#at = at + 1;
        // Link format allows no control characters, so none may be passed on.
        return { value: value.replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, " ") };
      }
      if (character === "\\" && at + 1 < this.#text.length) value += this.#text[++at];
      else value += character;
    }
    return this.#stop(this.#isCutShort ? "too-long" : "unclosed-quote");
  }

  /** Reads up to the next attribute or link. A comma is part of the value unless a target or the end follows. */
  #readUnquoted(): Read<string> {
    const start = this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const character = this.#peek();
      if (character === ";" || this.#isLinkBoundary()) break;
      // The grammar allows it in a value (ptokenchar), but a missing comma before another link is more likely.
      if (character === "<") return { reason: "ambiguous-value" };
      if (character === '"') return this.#stop("ambiguous-quote");
    }
    return { value: this.#text.slice(start, this.#at).trimEnd() };
  }

  /** Skips text up to where a link certainly begins. False when that takes more than one step. */
  #skipJunk(junk: { isAfterEquals: boolean }): boolean {
    for (; this.#at < this.#end; this.#at++) {
      if (this.#isLinkBoundary()) return true;
      const character = this.#peek();
      if (character === '"') {
        // A quotation mark opens a value only after an equals sign.
        if (!junk.isAfterEquals) this.#stop("ambiguous-quote");
        else this.#skipQuoted();
        if (this.isTruncated) return true;
        this.#at--;
      }
      if (!BLANK.test(character)) junk.isAfterEquals = character === "=";
    }
    return this.#isAtEnd;
  }

  /** Skips a quoted value, which may be as long as a link. */
  #skipQuoted(): void {
    const end = this.#end;
    this.#end = Math.min(this.#text.length, this.#at + MAX_LINK_LENGTH);
    this.#readQuoted();
    this.#end = Math.max(end, this.#at);
  }

  /** First position after the last inspected comma that is neither blank nor comma; cached, so that runs of commas stay linear. */
  #next = 0;

  /** Whether this is a comma followed by a target or the end. */
  #isLinkBoundary(): boolean {
    if (this.#peek() !== ",") return false;
    if (this.#next <= this.#at) {
      this.#next = this.#at + 1;
      // Bounded: a boundary that is further away is not recognised.
      const end = Math.min(this.#text.length, this.#at + CHARACTERS_PER_STEP);
      while (this.#next < end && /[\s,]/.test(this.#text[this.#next] as string)) this.#next++;
    }
    return this.#next >= this.#text.length || this.#text[this.#next] === "<";
  }
}
