import { BYTES_PER_STEP, CHARACTERS_PER_STEP, LINKS_PER_STEP, MAX_LINK_LENGTH, MAX_PROBLEMS } from "./constants.js";
import { readLinks } from "./link-format-reader.js";
import { leastLinkBytes } from "./link-size.js";
import type { Attribute, Link, LinkFormatProblem, TolerantParseResult } from "./types.js";

/**
 * Read a document that is not quite link format, as foreign directories write it, as far as it is unambiguous: values with
 * blanks or without a value, UTF-8 outside quotes, empty list elements, missing commas before a target, bytes that are not UTF-8.
 * A link is read with all its attributes or left out and counted; what stands in one link never becomes part of another. A
 * target or a quotation mark that is not closed, one that opens no value, and a link of more than {@link MAX_LINK_LENGTH}
 * characters end the document. Time is linear. Pure; never
 * throws.
 */
export function parseLinkFormatTolerantly(input: string | Uint8Array): TolerantParseResult {
  const steps = readTolerantly(input);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/**
 * The same in small steps of about 0.1 ms, and of some milliseconds where a link is very long. Whoever runs it decides how
 * many of them make a turn of the event loop.
 */
export function* readTolerantly(input: string | Uint8Array): Generator<void, TolerantParseResult> {
  const { text, problem } = yield* decode(input);
  const strict: Link[] = [];
  const end = problem === null ? yield* readLinks(text, strict, MAX_LINK_LENGTH) : problem;
  if (end === null && (yield* countOf(text, "<")) === strict.length)
    return { links: strict, problems: [], leftOut: 0, isTruncated: false };
  const reader = new TolerantReader(text);
  const links: Link[] = [];
  const problems: LinkFormatProblem[] = end === null ? [] : [end];
  // Names that differ in bytes that are not UTF-8 would become the same.
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

/** The text of a document, decoded in steps; what is not UTF-8 is replaced and reported. */
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

/** False: it is `fatal` that some of it is not UTF-8. */
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

/** A link, or why one is left out and where it begins. */
type Item = { readonly offset: number } & ({ readonly link: Link } | { readonly reason: string });
/** In the place of a link: much was passed over that is none, and there is more of it. */
const PAUSE = Symbol("pause");

/** What was read, or why it cannot be. */
type Read<T> = { readonly value: T } | { readonly reason: string };

const BLANK = /\s/;
/** A character of a name: those of RFC 6690, and any other that delimits nothing. */
const NAME = /[^\s"<>,;=]/;

/** Reads one link after the other. */
class TolerantReader {
  readonly #text: string;
  #at = 0;
  /** No link that begins here may be read beyond it. */
  #end = 0;
  /** Within what is no link; null: not. */
  #junk: { isAfterEquals: boolean } | null = null;
  /** Whatever follows is not known. */
  isTruncated = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** The reading position. */
  get at(): number {
    return this.#at;
  }

  /** The next link, or what stands in its place; null at the end. */
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
    // What cannot be written again cannot be shown in a lookup.
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

  /** Whether the limit of one link comes before the end of the document. */
  get #isCutShort(): boolean {
    return this.#end < this.#text.length;
  }

  /** Nothing after this can be read. */
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
      // A target can only be that of the next link, whether or not a comma stands before it.
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
        // Control characters are what separates this from link format; nothing that is passed on may carry them.
        return { value: value.replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, " ") };
      }
      if (character === "\\" && at + 1 < this.#text.length) value += this.#text[++at];
      else value += character;
    }
    return this.#stop(this.#isCutShort ? "too-long" : "unclosed-quote");
  }

  /** Up to the next attribute or link. A comma is part of the value unless a target or the end follows. */
  #readUnquoted(): Read<string> {
    const start = this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const character = this.#peek();
      if (character === ";" || this.#isLinkBoundary()) break;
      // By the grammar a value may have it (ptokenchar), but more likely a comma is missing: then it begins another link.
      if (character === "<") return { reason: "ambiguous-value" };
      if (character === '"') return this.#stop("ambiguous-quote");
    }
    return { value: this.#text.slice(start, this.#at).trimEnd() };
  }

  /** Pass over what is no link, up to where one certainly begins. False when there is more of it than belongs into one step. */
  #skipJunk(junk: { isAfterEquals: boolean }): boolean {
    for (; this.#at < this.#end; this.#at++) {
      if (this.#isLinkBoundary()) return true;
      const character = this.#peek();
      if (character === '"') {
        // A quotation mark opens a value behind an equals sign, where nothing hides what it belongs to.
        if (!junk.isAfterEquals) this.#stop("ambiguous-quote");
        else this.#skipQuoted();
        if (this.isTruncated) return true;
        this.#at--;
      }
      if (!BLANK.test(character)) junk.isAfterEquals = character === "=";
    }
    return this.#isAtEnd;
  }

  /** A value that may be as long as a link. */
  #skipQuoted(): void {
    const end = this.#end;
    this.#end = Math.min(this.#text.length, this.#at + MAX_LINK_LENGTH);
    this.#readQuoted();
    this.#end = Math.max(end, this.#at);
  }

  /** First character behind the comma last looked at that is neither blank nor comma: looked for once, not per comma. */
  #next = 0;

  /** At a comma behind which there is a target, or nothing any more. */
  #isLinkBoundary(): boolean {
    if (this.#peek() !== ",") return false;
    if (this.#next <= this.#at) {
      this.#next = this.#at + 1;
      // A link is not so far away that it could not be left out.
      const end = Math.min(this.#text.length, this.#at + CHARACTERS_PER_STEP);
      while (this.#next < end && /[\s,]/.test(this.#text[this.#next] as string)) this.#next++;
    }
    return this.#next >= this.#text.length || this.#text[this.#next] === "<";
  }
}
