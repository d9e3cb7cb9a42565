import { CONTENT_FORMAT, GrowingBytes, type UnfinishedBody } from "@tributary/coap-transport";
import { type Link, LinkModelError, serialiseLink, toLinkset } from "@tributary/link-model";
import { BodyHash, bodyTag } from "./body-hash.js";
import { linkToJson } from "./link-json.js";

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
  /** Encodes text that is in link format already. @throws {BodyTooLarge} */
  encode(text: string, maxBytes: number): WrittenBody;
  /** @throws {BodyTooLarge} when it would take more than `maxBytes`, in time that is linear in those. */
  write(links: Iterable<Link>, format: number, maxBytes: number): WrittenBody;
  /**
   * The same in link format, but only up to `headBytes`: a longer body is continued on demand, and `links` are read only then. Null
   * stands for a pause.
   */
  begin(
    links: Iterator<Link | null>,
    options: BegunBodyOptions,
  ): WrittenBody | BegunBody | Promise<WrittenBody | BegunBody>;
  /** The same as `write`, link by link. */
  start(format: number, maxBytes: number): GrowingBody;
  /** An entity tag of this writer for what a text describes. */
  tagOf(text: string): Uint8Array;
}

/** A body that is written link by link. */
export interface GrowingBody {
  /** @throws {BodyTooLarge} */
  add(link: Link): void;
  /** Yields null between small steps. @throws {BodyTooLarge} */
  finish(): Generator<null, WrittenBody>;
}

export interface BegunBodyOptions {
  readonly headBytes: number;
  readonly maxBytes: number;
  /** Runs what yields between small steps to its end: at once where that is quick, else a promise. */
  readonly run: (work: Iterator<null>) => undefined | Promise<void>;
}

/** The beginning of a body. */
export interface BegunBody {
  readonly payload: Uint8Array;
  readonly rest: UnfinishedBody & { readonly writtenBytes: number; readonly isWhole: boolean };
}

/** Whether a body is not complete. */
export function isBegun(body: WrittenBody | BegunBody): body is BegunBody {
  return "rest" in body;
}

/** A body beyond the limit. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

/** `seed` makes the entity tags of this writer its own. The formats beside link format are offered where they have a number. */
export function createBodyWriter(options: {
  readonly linksetFormat?: number | undefined;
  readonly jsonFormat?: number | undefined;
  readonly seed: number;
}): BodyWriter {
  const { linksetFormat, jsonFormat, seed } = options;
  const linkset = linksetFormat === undefined ? "" : ` and application/linkset+json (${linksetFormat})`;
  const json = jsonFormat === undefined ? "" : ` and application/json (${jsonFormat})`;
  return {
    negotiate(accept) {
      if (accept === undefined || accept === CONTENT_FORMAT.LINK_FORMAT) return CONTENT_FORMAT.LINK_FORMAT;
      return accept === linksetFormat || accept === jsonFormat ? accept : null;
    },
    offer: `application/link-format (40)${linkset}${json} here`,
    encode(text, maxBytes) {
      if (text.length > maxBytes) throw new BodyTooLarge();
      const payload = Buffer.from(text, "utf8");
      return { payload, etag: bodyTag(payload, seed), skipped: 0 };
    },
    write(links, format, maxBytes) {
      if (format === jsonFormat) return writeAll(new JsonInParts(maxBytes, seed), links);
      const write = format === linksetFormat ? writeLinkset : writeLinkFormat;
      const { text, skipped } = write(links, maxBytes);
      const payload = Buffer.from(text, "utf8");
      return { payload, etag: bodyTag(payload, seed), skipped };
    },
    start(format, maxBytes) {
      if (format === jsonFormat) return new JsonInParts(maxBytes, seed);
      return format === linksetFormat ? new LinksetInParts(maxBytes, seed) : new LinkFormatInParts(maxBytes, seed);
    },
    tagOf: (text) => bodyTag(Buffer.from(text, "utf8"), seed),
    begin(links, options) {
      const { headBytes } = options;
      const body = new LinkFormatBody(links, options);
      const begun = (payload: Uint8Array): WrittenBody | BegunBody =>
        payload.length > headBytes
          ? { payload, rest: body }
          : { payload, etag: bodyTag(payload, seed), skipped: body.skipped };
      const payload = body.upTo(headBytes + 1);
      return payload instanceof Promise ? payload.then(begun) : begun(payload);
    },
  };
}

/** Text is encoded and kept in pieces of so many characters. */
const PIECE_LENGTH = 16_384;
/** Links that are written between two pauses. */
const LINKS_PER_STEP = 32;

/** A document that is written as it is read. */
class LinkFormatBody implements UnfinishedBody {
  skipped = 0;
  readonly #links: Iterator<Link | null>;
  readonly #options: BegunBodyOptions;
  readonly #bytes = new GrowingBytes();
  /** Written and not encoded yet. */
  #piece = "";
  #isWhole = false;
  #hasLinks = false;
  /** The part that is being written. */
  #underWay: Promise<void> | null = null;
  /** What prevents the body from being completed, for all its readers. */
  #failure: { readonly error: unknown } | null = null;

  constructor(links: Iterator<Link | null>, options: BegunBodyOptions) {
    this.#links = links;
    this.#options = options;
  }

  get writtenBytes(): number {
    return this.#bytes.length;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** @throws {BodyTooLarge} */
  upTo(bytes: number): Uint8Array | Promise<Uint8Array> {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#isWhole || this.#bytes.length >= bytes) return this.#bytes.bytes();
    if (this.#underWay !== null) return this.#underWay.then(() => this.upTo(bytes));
    const rest = this.#options.run(this.#write(bytes));
    if (rest === undefined) return this.#bytes.bytes();
    this.#underWay = rest.finally(() => {
      this.#underWay = null;
    });
    return this.#underWay.then(() => this.upTo(bytes));
  }

  *#write(bytes: number): Generator<null, void> {
    try {
      yield* this.#writeOn(bytes);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  *#writeOn(bytes: number): Generator<null, void> {
    for (let count = 1; !this.#isWhole && this.#bytes.length < bytes; count++) {
      const next = this.#links.next();
      if (next.done === true) this.#isWhole = true;
      else if (next.value !== null) this.#add(next.value);
      const { length } = this.#piece;
      if (this.#isWhole || length >= PIECE_LENGTH || this.#bytes.length + length >= bytes) this.#encode();
      if (next.value === null || count % LINKS_PER_STEP === 0) yield null;
    }
  }

  #add(link: Link): void {
    const written = writtenLink(link);
    if (written === null) {
      this.skipped++;
      return;
    }
    this.#piece += this.#hasLinks ? `,${written}` : written;
    this.#hasLinks = true;
  }

  #encode(): void {
    this.#bytes.append(Buffer.from(this.#piece, "utf8"));
    this.#piece = "";
    if (this.#bytes.length > this.#options.maxBytes) throw new BodyTooLarge();
  }
}

/** A body that is encoded and hashed piece by piece, so that its end is no more work than any other part. */
class BodyInPieces {
  readonly #maxBytes: number;
  readonly #hash: BodyHash;
  readonly #bytes = new GrowingBytes();
  #piece = "";

  constructor(maxBytes: number, seed: number) {
    this.#maxBytes = maxBytes;
    this.#hash = new BodyHash(seed);
  }

  /** True: a piece of some length was finished. */
  add(text: string): boolean {
    this.#piece += text;
    if (this.#piece.length < PIECE_LENGTH) return false;
    this.#encode();
    return true;
  }

  finish(skipped: number): WrittenBody {
    this.#encode();
    return { payload: this.#bytes.bytes(), etag: this.#hash.tag(), skipped };
  }

  #encode(): void {
    const piece = Buffer.from(this.#piece, "utf8");
    this.#piece = "";
    this.#hash.update(piece);
    this.#bytes.append(piece);
    if (this.#bytes.length > this.#maxBytes) throw new BodyTooLarge();
  }
}

class LinkFormatInParts implements GrowingBody {
  readonly #body: BodyInPieces;
  #hasLinks = false;
  #skipped = 0;

  constructor(maxBytes: number, seed: number) {
    this.#body = new BodyInPieces(maxBytes, seed);
  }

  add(link: Link): void {
    const written = writtenLink(link);
    if (written === null) {
      this.#skipped++;
      return;
    }
    this.#body.add(this.#hasLinks ? `,${written}` : written);
    this.#hasLinks = true;
  }

  // biome-ignore lint/correctness/useYield: there is nothing left that takes long
  *finish(): Generator<null, WrittenBody> {
    return this.#body.finish(this.#skipped);
  }
}

/**
 * RFC 9264 section 4.2. Links with one context are one object: only once the last one is known can they be put together. Each is
 * turned into text when it comes.
 */
class LinksetInParts implements GrowingBody {
  readonly #maxBytes: number;
  readonly #seed: number;
  /** Targets by context and relation. */
  readonly #contexts = new Map<string, Map<string, string[]>>();
  #length = 0;

  constructor(maxBytes: number, seed: number) {
    this.#maxBytes = maxBytes;
    this.#seed = seed;
  }

  add(link: Link): void {
    for (const { anchor, ...relations } of toLinkset([link], "/").linkset) {
      const context = String(anchor);
      const known = this.#contexts.get(context) ?? new Map<string, string[]>();
      this.#contexts.set(context, known);
      for (const [relation, targets] of Object.entries(relations)) this.#addTargets(known, relation, targets);
    }
    if (this.#length > this.#maxBytes) throw new BodyTooLarge();
  }

  #addTargets(relations: Map<string, string[]>, relation: string, targets: unknown): void {
    const known = relations.get(relation) ?? [];
    relations.set(relation, known);
    for (const target of targets as unknown[]) {
      const text = JSON.stringify(target);
      this.#length += text.length;
      known.push(text);
    }
  }

  *finish(): Generator<null, WrittenBody> {
    const body = new BodyInPieces(this.#maxBytes, this.#seed);
    let isFirst = true;
    body.add('{"linkset":[');
    for (const [anchor, relations] of this.#contexts) {
      body.add(`${isFirst ? "" : ","}{"anchor":${JSON.stringify(anchor)}`);
      isFirst = false;
      for (const [relation, targets] of relations) {
        body.add(`,${JSON.stringify(relation)}:[`);
        for (const [at, target] of targets.entries()) if (body.add(at === 0 ? target : `,${target}`)) yield null;
        body.add("]");
      }
      if (body.add("}")) yield null;
    }
    body.add("]}");
    return body.finish(0);
  }
}

/** One array, with an object for each link. */
class JsonInParts implements GrowingBody {
  readonly #body: BodyInPieces;
  #hasLinks = false;

  constructor(maxBytes: number, seed: number) {
    this.#body = new BodyInPieces(maxBytes, seed);
  }

  add(link: Link): void {
    this.#body.add(`${this.#hasLinks ? "," : "["}\n${JSON.stringify(linkToJson(link))}`);
    this.#hasLinks = true;
  }

  // biome-ignore lint/correctness/useYield: there is nothing left that takes long
  *finish(): Generator<null, WrittenBody> {
    this.#body.add(this.#hasLinks ? "\n]\n" : "[]\n");
    return this.#body.finish(0);
  }
}

function writeAll(body: GrowingBody, links: Iterable<Link>): WrittenBody {
  for (const link of links) body.add(link);
  const steps = body.finish();
  for (;;) {
    const next = steps.next();
    if (next.done === true) return next.value;
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
    if (text.length > maxBytes) throw new BodyTooLarge();
  }
  return { text, skipped };
}

/** RFC 9264 section 4.2. */
function writeLinkset(links: Iterable<Link>, maxBytes: number): { text: string; skipped: number } {
  const text = JSON.stringify(toLinkset(bounded(links, maxBytes), "/"));
  if (text.length > maxBytes) throw new BodyTooLarge();
  return { text, skipped: 0 };
}

/** No link takes less than this in linkset+json, so that far too many are noticed before they are all there. */
const MIN_LINKSET_BYTES = 12;

function* bounded(links: Iterable<Link>, maxBytes: number): Generator<Link> {
  let count = 0;
  for (const link of links) {
    if (++count * MIN_LINKSET_BYTES > maxBytes) throw new BodyTooLarge();
    yield link;
  }
}
