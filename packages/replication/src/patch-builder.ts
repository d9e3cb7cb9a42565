import jsonPatch from "fast-json-patch";
import { RENEWED_MEMBER } from "./constants.js";
import type { ReportedRenewal } from "./time/renewal-age.js";
import type { FeedCursor, FeedKind, FeedPatch } from "./types.js";
import type { Version } from "./version.js";
import { formatVersion } from "./version.js";

/** Member of the feed document that holds the registrations. */
export const COLLECTION = { ep: "registrations", res: "links" } as const satisfies Record<FeedKind, string>;

/** JSON pointer of a registration in the feed document of `kind` (RFC 6901). Pure. */
export function entryPointer(kind: FeedKind, href: string): string {
  return `/${COLLECTION[kind]}/${jsonPatch.escapePathComponent(href)}`;
}

/** Bytes of `text` in UTF-8. Pure. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    // A surrogate pair takes four bytes for two units; a lone surrogate is replaced by three bytes.
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) {
      bytes += 4;
      index++;
    } else bytes += 3;
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

/** Longest version text: 6 and 10 hexadecimal digits and a dash. */
const VERSION_BYTES = 17;
/** Longest reading of a clock: as a version, then 13 and 12 digits, each after a dash. */
const CLOCK_BYTES = VERSION_BYTES + 27;
const ENVELOPE_BYTES =
  `[{"op":"test","path":"/version","value":""},{"op":"replace","path":"/complete","value":true},{"op":"add","path":"/clock","value":""},{"op":"replace","path":"/version","value":""}]`
    .length;

/**
 * Collects the operations of one notification within a bound of bytes. A cursor that holds nothing gets one `replace ""`
 * with the entries inside; any other gets `test /version`, the operations, `replace /version`.
 */
export class PatchBuilder {
  readonly #kind: FeedKind;
  readonly #held: Version | null;
  readonly #maxBytes: number;
  #parts: string[] = [];
  #bytes: number;
  #renewals = 0;
  /** By how much the parts are longer in bytes than in characters. */
  #widening = 0;

  constructor(cursor: FeedCursor, maxBytes: number) {
    this.#kind = cursor.kind;
    this.#held = cursor.version;
    this.#maxBytes = maxBytes;
    this.#bytes = ENVELOPE_BYTES + 2 * VERSION_BYTES + CLOCK_BYTES;
  }

  /** Set a whole entry. False when it does not fit any more; the first always fits. */
  put(href: string, valueText: string): boolean {
    if (this.#held === null) return this.#add(`${JSON.stringify(href)}:${valueText}`);
    return this.#add(`{"op":"add","path":${JSON.stringify(entryPointer(this.#kind, href))},"value":${valueText}}`);
  }

  /** Set the age of an entry that the subscriber holds. */
  renew(href: string, { ageS, renewedMs }: ReportedRenewal): boolean {
    const pointer = entryPointer(this.#kind, href);
    const age = `{"op":"replace","path":${JSON.stringify(`${pointer}/lt-age`)},"value":${ageS}}`;
    const renewed = `{"op":"add","path":${JSON.stringify(`${pointer}/${RENEWED_MEMBER}`)},"value":${renewedMs}}`;
    const fits = this.#add(renewedMs === undefined ? age : `${age},${renewed}`);
    if (fits) this.#renewals++;
    return fits;
  }

  /**
   * Remove an entry. Where it is not certain that the subscriber holds it, it is added first, because `remove` of a
   * missing member would fail the whole patch (RFC 6902 section 4.2).
   */
  remove(href: string, isCertain: boolean): boolean {
    const path = JSON.stringify(entryPointer(this.#kind, href));
    const remove = `{"op":"remove","path":${path}}`;
    return this.#add(isCertain ? remove : `{"op":"add","path":${path},"value":null},${remove}`);
  }

  /** Whether there is any operation besides renewals. */
  get hasContent(): boolean {
    return this.#parts.length > this.#renewals;
  }

  /** `clock`: the reading to put into it, as text. */
  finish(
    version: Version,
    isComplete: boolean,
    wasComplete: boolean,
    clock: string | null,
  ): Omit<FeedPatch, "copyBegan"> {
    const to = formatVersion(version);
    const text =
      this.#held === null
        ? `[{"op":"replace","path":"","value":{"version":"${to}","complete":${isComplete}${clock === null ? "" : `,"clock":"${clock}"`},"${COLLECTION[this.#kind]}":{${this.#parts.join(",")}}}}]`
        : this.#delta(formatVersion(this.#held), to, isComplete && !wasComplete, clock);
    // Versions and clocks are ASCII.
    return { text, byteLength: text.length + this.#widening, version, complete: isComplete };
  }

  #delta(from: string, to: string, becomesComplete: boolean, clock: string | null): string {
    const operations = [`{"op":"test","path":"/version","value":"${from}"}`, ...this.#parts];
    if (becomesComplete) operations.push(`{"op":"replace","path":"/complete","value":true}`);
    if (clock !== null) operations.push(`{"op":"add","path":"/clock","value":"${clock}"}`);
    operations.push(`{"op":"replace","path":"/version","value":"${to}"}`);
    return `[${operations.join(",")}]`;
  }

  #add(part: string): boolean {
    // Nothing that is longer than what is left can fit, so that its bytes need not be counted.
    if (this.#parts.length > 0 && this.#bytes + part.length + 1 > this.#maxBytes) return false;
    const bytes = utf8Length(part);
    if (this.#parts.length > 0 && this.#bytes + bytes + 1 > this.#maxBytes) return false;
    this.#parts.push(part);
    this.#bytes += bytes + 1;
    this.#widening += bytes - part.length;
    return true;
  }
}
