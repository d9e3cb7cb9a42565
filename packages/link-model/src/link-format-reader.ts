import { isBlank, isForbiddenInQuotes, isForbiddenInTarget, isNameCharacter, isTokenCharacter } from "./characters.js";
import { CHARACTERS_PER_STEP, LINKS_PER_STEP } from "./constants.js";
import type { Attribute, Link, LinkFormatProblem, ParseResult } from "./types.js";

/**
 * Parses a link-format document (RFC 6690 section 2) strictly, except that blanks are accepted around separators. Runs in linear
 * time. Pure; never throws.
 */
export function parseLinkFormat(input: string | Uint8Array): ParseResult {
  const text = typeof input === "string" ? input : decodeUtf8(input);
  if (typeof text !== "string") return { ok: false, error: text };
  const links: Link[] = [];
  const steps = readLinks(text, links);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value === null ? { ok: true, links } : { ok: false, error: value };
  }
}

/**
 * Reads a document link by link into `links`, and yields after every few links. Returns null at the end of the document, or the
 * first problem: an error of syntax, or a link of more than `maxLinkLength` characters. `links` then has all links before it.
 */
export function* readLinks(
  text: string,
  links: Link[],
  maxLinkLength = Number.POSITIVE_INFINITY,
): Generator<void, LinkFormatProblem | null> {
  const reader = new LinkFormatReader(text, maxLinkLength);
  try {
    let lastPauseAt = 0;
    for (let link = reader.first(); link !== null; link = reader.next()) {
      links.push(link);
      if (links.length % LINKS_PER_STEP !== 0 && reader.at - lastPauseAt < CHARACTERS_PER_STEP) continue;
      lastPauseAt = reader.at;
      yield;
    }
    return null;
  } catch (error) {
    if (error instanceof Unreadable) return error.problem;
    throw error;
  }
}

/** How much of a piece of a document was read. */
export interface PieceRead {
  /** Where the reading goes on: behind the last link that is certainly complete, at the separator. */
  readonly end: number;
  /** Set where the document is not strict link format. */
  readonly problem: LinkFormatProblem | null;
}

/**
 * Reads what is complete of a piece of a document into `links`. A piece that is not the first one of a document that has links
 * begins with the separator in front of a link. A link that reaches the end of a piece may continue in the next one, and so may one
 * that cannot be read.
 */
export function* readLinksOfPiece(
  text: string,
  links: Link[],
  { isLast, maxLinkLength }: { readonly isLast: boolean; readonly maxLinkLength: number },
): Generator<void, PieceRead> {
  const reader = new LinkFormatReader(text, maxLinkLength);
  let end = 0;
  try {
    let lastPauseAt = 0;
    for (let link = links.length === 0 ? reader.first() : reader.next(); link !== null; link = reader.next()) {
      if (!isLast && reader.at === text.length) return { end, problem: null };
      links.push(link);
      end = reader.at;
      if (links.length % LINKS_PER_STEP !== 0 && end - lastPauseAt < CHARACTERS_PER_STEP) continue;
      lastPauseAt = end;
      yield;
    }
    return { end, problem: null };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    const mayContinue = !isLast && text.length - end <= maxLinkLength;
    return { end, problem: mayContinue ? null : error.problem };
  }
}

/** Decodes UTF-8, or returns the position of the first invalid byte. A byte order mark is data, which the grammar refuses. */
export function decodeUtf8(bytes: Uint8Array): string | LinkFormatProblem {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { reason: "invalid-utf8", offset: firstInvalidByte(bytes), message: "the document is not UTF-8" };
  }
}

function firstInvalidByte(bytes: Uint8Array): number {
  // Binary search for the longest prefix that decodes; only an invalid document pays for it.
  let low = 0;
  let high = bytes.length;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (isPrefixOfUtf8(bytes.subarray(0, middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whether bytes are UTF-8, possibly with an incomplete sequence at the end. */
function isPrefixOfUtf8(bytes: Uint8Array): boolean {
  for (let cut = 0; cut <= 3 && cut <= bytes.length; cut++) {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, bytes.length - cut));
      return cut === 0 || isOpenSequence(bytes.subarray(bytes.length - cut));
    } catch {}
  }
  return false;
}

function isOpenSequence(bytes: Uint8Array): boolean {
  const lead = bytes[0] as number;
  return lead >= 0xc2 && lead <= 0xf4 && bytes.subarray(1).every((byte) => byte >= 0x80 && byte < 0xc0);
}

/** Carries a problem out of the recursive descent; not thrown beyond this file. */
class Unreadable extends Error {
  readonly problem: LinkFormatProblem;
  constructor(problem: LinkFormatProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

const LT = 0x3c;
const GT = 0x3e;
const SEMICOLON = 0x3b;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const STAR = 0x2a;

class LinkFormatReader {
  readonly #text: string;
  readonly #maxLinkLength: number;
  #at = 0;
  /** Limit of the present link. */
  #end: number;

  constructor(text: string, maxLinkLength: number) {
    this.#text = text;
    this.#maxLinkLength = maxLinkLength;
    this.#end = Math.min(text.length, maxLinkLength);
  }

  /** The reading position. */
  get at(): number {
    return this.#at;
  }

  /** Returns the first link; null when the document is empty. */
  first(): Link | null {
    this.#skipBlanks();
    this.#failIfTooLong(0);
    return this.#at === this.#text.length ? null : this.#readLink();
  }

  /** Returns the next link; null at the end. */
  next(): Link | null {
    const start = this.#at;
    this.#end = Math.min(this.#text.length, start + this.#maxLinkLength);
    this.#skipBlanks();
    this.#failIfTooLong(start);
    if (this.#at === this.#text.length) return null;
    if (this.#peek() !== COMMA) this.#fail("expected-separator", "expected `,` or `;`");
    this.#at++;
    this.#skipBlanks();
    return this.#readLink();
  }

  #readLink(): Link {
    const start = this.#at;
    const target = this.#readTarget();
    const attributes: Attribute[] = [];
    for (;;) {
      this.#skipBlanks();
      this.#failIfTooLong(start);
      if (this.#peek() !== SEMICOLON) return { target, attributes };
      this.#at++;
      this.#skipBlanks();
      attributes.push(this.#readAttribute());
    }
  }

  #failIfTooLong(start: number): void {
    if (this.#at >= this.#end && this.#end < this.#text.length)
      this.#fail("too-long", `a link has more than ${this.#maxLinkLength} characters`, start);
  }

  #readTarget(): string {
    if (this.#peek() !== LT) this.#fail("expected-target", "expected a target in `<` and `>`");
    const start = ++this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const code = this.#peek();
      if (code === GT) return this.#text.slice(start, this.#at++);
      if (isForbiddenInTarget(code)) this.#failInTarget(start);
    }
    this.#failIfTooLong(start - 1);
    return this.#fail("unclosed-target", "the target is not closed by `>`", start - 1);
  }

  /** A target without `>` is reported as unclosed, even with a bad character in it. */
  #failInTarget(start: number): never {
    if (!this.#text.includes(">", this.#at))
      this.#fail("unclosed-target", "the target is not closed by `>`", start - 1);
    return this.#fail("bad-target", "a character that a URI reference cannot contain");
  }

  #readAttribute(): Attribute {
    const name = this.#readName();
    this.#skipBlanks();
    if (this.#peek() !== EQUALS) return [name, null];
    this.#at++;
    this.#skipBlanks();
    return [name, this.#peek() === QUOTE ? this.#readQuoted() : this.#readToken()];
  }

  #readName(): string {
    const start = this.#at;
    while (this.#at < this.#end && isNameCharacter(this.#peek())) this.#at++;
    if (this.#at === start) this.#fail("empty-name", "expected the name of an attribute");
    if (this.#peek() === STAR) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #readToken(): string {
    const start = this.#at;
    while (this.#at < this.#end && isTokenCharacter(this.#peek())) this.#at++;
    if (this.#at === start) this.#fail("empty-value", "expected a value after `=`");
    return this.#text.slice(start, this.#at);
  }

  #readQuoted(): string {
    const open = this.#at++;
    let value = "";
    let start = this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const code = this.#peek();
      if (code === QUOTE) {
        value += this.#text.slice(start, this.#at++);
        return value;
      }
      if (code === BACKSLASH) {
        value += this.#text.slice(start, this.#at);
        // The next iteration takes the escaped character literally.
        start = ++this.#at;
      }
      if (this.#at < this.#text.length && isForbiddenInQuotes(this.#peek())) {
        this.#fail("control-char", "a control character in a quoted value");
      }
    }
    this.#failIfTooLong(open);
    return this.#fail("unclosed-quote", "the quoted value is not closed", open);
  }

  #skipBlanks(): void {
    while (this.#at < this.#end && isBlank(this.#peek())) this.#at++;
  }

  /** The code unit at the reading position; NaN, which is in no character class, at the end. */
  #peek(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #fail(reason: string, what: string, offset = this.#at): never {
    throw new Unreadable({ reason, offset, message: `${what} at offset ${offset}` });
  }
}
