import { CONTENT_FORMAT } from "@tributary/coap-transport";
import { type Link, LinkModelError, serialiseLink, toLinkset } from "@tributary/link-model";
import { bodyTag } from "./body-hash.js";

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
  };
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
