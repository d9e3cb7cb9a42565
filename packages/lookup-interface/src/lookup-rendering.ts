import { CONTENT_FORMAT, GrowingBytes, type UnfinishedBody } from "@tributary/coap-transport";
import { type Link, LinkModelError, serialiseLink, toLinkset } from "@tributary/link-model";
import { BodyHash, bodyTag } from "./body-hash.js";

export interface WrittenBody {
  readonly payload: Uint8Array;
  readonly etag: Uint8Array;
  /** Links that the format cannot express, left out. */
  readonly skipped: number;
}

/** Writes links in the format that a client accepts. */
export interface BodyWriter {
  /** The Content-Format to answer with, or null when none is acceptable (RFC 7252 section 5.10.4). */
  negotiate(accept: number | undefined): number | null;
  /** What is offered, in words. */
  readonly offer: string;
  /** @throws {AnswerTooLarge} when it would take more than `maxBytes`, in time that is linear in those. */
  write(links: Iterable<Link>, format: number, maxBytes: number): WrittenBody;
  /**
   * The same in link format, but only as far as `headBytes`: what is longer goes on from there as it is asked for, and then `links`
   * are looked at only then.
   */
  begin(links: Iterable<Link>, headBytes: number, maxBytes: number): WrittenBody | BegunBody;
  /** The same as `write`, link by link. */
  start(format: number, maxBytes: number): GrowingBody;
  /** An entity tag of this writer for whatever a text describes. */
  tagOf(text: string): Uint8Array;
}

/** A body that is written link by link. */
export interface GrowingBody {
  /** @throws {AnswerTooLarge} */
  add(link: Link): void;
  /** @throws {AnswerTooLarge} */
  finish(): WrittenBody;
}

/** The beginning of a body. */
export interface BegunBody {
  readonly payload: Uint8Array;
  readonly rest: UnfinishedBody;
}

/** An answer beyond what was allowed. */
export class AnswerTooLarge extends Error {
  override readonly name = "AnswerTooLarge";
}

/** `seed` makes the entity tags of this writer its own. */
export function createBodyWriter(options: {
  readonly linksetFormat?: number | undefined;
  readonly seed: number;
}): BodyWriter {
  const { linksetFormat, seed } = options;
  const linkset = linksetFormat === undefined ? "" : ` and application/linkset+json (${linksetFormat})`;
  return {
    negotiate(accept) {
      if (accept === undefined || accept === CONTENT_FORMAT.LINK_FORMAT) return CONTENT_FORMAT.LINK_FORMAT;
      return accept === linksetFormat ? accept : null;
    },
    offer: `application/link-format (40)${linkset} here`,
    write(links, format, maxBytes) {
      const write = format === linksetFormat ? writeLinkset : writeLinkFormat;
      const { text, skipped } = write(links, maxBytes);
      const payload = Buffer.from(text, "utf8");
      return { payload, etag: bodyTag(payload, seed), skipped };
    },
    start: (format, maxBytes) =>
      format === linksetFormat ? new LinksetInParts(maxBytes, seed) : new LinkFormatInParts(maxBytes, seed),
    tagOf: (text) => bodyTag(Buffer.from(text, "utf8"), seed),
    begin(links, headBytes, maxBytes) {
      const body = new LinkFormatBody(links, maxBytes);
      const payload = body.upTo(headBytes + 1);
      if (payload.length > headBytes) return { payload, rest: body };
      return { payload, etag: bodyTag(payload, seed), skipped: body.skipped };
    },
  };
}

/** Text is encoded and kept in pieces of so many characters. */
const PIECE_LENGTH = 16_384;

/** A document that is written as it is read. */
class LinkFormatBody implements UnfinishedBody {
  skipped = 0;
  readonly #links: Iterator<Link>;
  readonly #maxBytes: number;
  /** Most documents are one piece. */
  #first: Uint8Array | null = null;
  readonly #all = new GrowingBytes();
  #isWhole = false;
  #hasLinks = false;

  constructor(links: Iterable<Link>, maxBytes: number) {
    this.#links = links[Symbol.iterator]();
    this.#maxBytes = maxBytes;
  }

  /** @throws {AnswerTooLarge} */
  upTo(bytes: number): Uint8Array {
    this.#first ??= Buffer.from(this.#piece(), "utf8");
    if (this.#first.length >= bytes || (this.#isWhole && this.#all.length === 0)) return this.#first;
    if (this.#all.length === 0) this.#all.append(this.#first);
    while (!this.#isWhole && this.#all.length < bytes) this.#all.append(Buffer.from(this.#piece(), "utf8"));
    if (this.#all.length > this.#maxBytes) throw new AnswerTooLarge();
    return this.#all.bytes();
  }

  #piece(): string {
    let text = "";
    while (text.length < PIECE_LENGTH) {
      const next = this.#links.next();
      if (next.done === true) {
        this.#isWhole = true;
        break;
      }
      const written = writtenLink(next.value);
      if (written === null) {
        this.skipped++;
        continue;
      }
      text += this.#hasLinks ? `,${written}` : written;
      this.#hasLinks = true;
    }
    return text;
  }
}

/** Encoded and hashed piece by piece, so that the end is no more work than any other part. */
class LinkFormatInParts implements GrowingBody {
  readonly #maxBytes: number;
  readonly #hash: BodyHash;
  readonly #bytes = new GrowingBytes();
  #piece = "";
  #hasLinks = false;
  #skipped = 0;

  constructor(maxBytes: number, seed: number) {
    this.#maxBytes = maxBytes;
    this.#hash = new BodyHash(seed);
  }

  add(link: Link): void {
    const written = writtenLink(link);
    if (written === null) {
      this.#skipped++;
      return;
    }
    this.#piece += this.#hasLinks ? `,${written}` : written;
    this.#hasLinks = true;
    if (this.#piece.length >= PIECE_LENGTH) this.#encode();
  }

  finish(): WrittenBody {
    this.#encode();
    return { payload: this.#bytes.bytes(), etag: this.#hash.tag(), skipped: this.#skipped };
  }

  #encode(): void {
    const piece = Buffer.from(this.#piece, "utf8");
    this.#piece = "";
    this.#hash.update(piece);
    this.#bytes.append(piece);
    if (this.#bytes.length > this.#maxBytes) throw new AnswerTooLarge();
  }
}

/** Links with one context are one object: nothing can be written before the last one is known. */
class LinksetInParts implements GrowingBody {
  readonly #maxBytes: number;
  readonly #seed: number;
  readonly #links: Link[] = [];

  constructor(maxBytes: number, seed: number) {
    this.#maxBytes = maxBytes;
    this.#seed = seed;
  }

  add(link: Link): void {
    this.#links.push(link);
    if (this.#links.length * MIN_LINKSET_BYTES > this.#maxBytes) throw new AnswerTooLarge();
  }

  finish(): WrittenBody {
    const { text, skipped } = writeLinkset(this.#links, this.#maxBytes);
    const payload = Buffer.from(text, "utf8");
    return { payload, etag: bodyTag(payload, this.#seed), skipped };
  }
}

/** A link in link format, or null when it cannot be written. */
function writtenLink(link: Link): string | null {
  try {
    return serialiseLink(link);
  } catch (error) {
    if (!(error instanceof LinkModelError)) throw error;
    return null;
  }
}

/** RFC 6690 section 2. One link that cannot be written must not cost the others. */
function writeLinkFormat(links: Iterable<Link>, maxBytes: number): { text: string; skipped: number } {
  let text = "";
  let skipped = 0;
  for (const link of links) {
    try {
      const written = serialiseLink(link);
      text = text === "" ? written : `${text},${written}`;
    } catch (error) {
      if (!(error instanceof LinkModelError)) throw error;
      skipped++;
    }
    if (text.length > maxBytes) throw new AnswerTooLarge();
  }
  return { text, skipped };
}

/** RFC 9264 section 4.2. */
function writeLinkset(links: Iterable<Link>, maxBytes: number): { text: string; skipped: number } {
  const text = JSON.stringify(toLinkset(bounded(links, maxBytes), "/"));
  if (text.length > maxBytes) throw new AnswerTooLarge();
  return { text, skipped: 0 };
}

/** No link takes less than this in linkset+json, so that far too many are noticed before they are all there. */
const MIN_LINKSET_BYTES = 12;

function* bounded(links: Iterable<Link>, maxBytes: number): Generator<Link> {
  let count = 0;
  for (const link of links) {
    if (++count * MIN_LINKSET_BYTES > maxBytes) throw new AnswerTooLarge();
    yield link;
  }
}
