import { MAX_PROBLEMS } from "./constants.js";
import { parseLinkFormat } from "./link-format-reader.js";
import type { Attribute, Link, LinkFormatProblem, TolerantParseResult } from "./types.js";

/**
 * Read a document that is not quite link format, as foreign directories write it, as far as it is unambiguous: values with
 * blanks or without a value, UTF-8 outside quotes, empty list elements, bytes that are not UTF-8. What cannot be read is left
 * out link by link and reported; a link whose target is not closed ends the document. Time is linear. Pure; never throws.
 */
export function parseLinkFormatTolerantly(input: string | Uint8Array): TolerantParseResult {
  const strict = parseLinkFormat(input);
  if (strict.ok) return { links: strict.links, problems: [], isTruncated: false };
  const problems: LinkFormatProblem[] = [strict.error];
  const text = typeof input === "string" ? input : new TextDecoder("utf-8", { ignoreBOM: true }).decode(input);
  const links: Link[] = [];
  let isTruncated = false;
  for (const piece of pieces(text, ",")) {
    isTruncated = piece.isOpen;
    const link = readPiece(text.slice(piece.start, piece.end));
    if (typeof link === "object") links.push(link);
    else if (link !== "" && problems.length < MAX_PROBLEMS) {
      problems.push({
        reason: link,
        offset: piece.start,
        message: `a link is left out (${link}) at offset ${piece.start}`,
      });
    }
  }
  return { links, problems, isTruncated };
}

interface Piece {
  readonly start: number;
  readonly end: number;
  /** Ends within `<…>` or `"…"`. */
  readonly isOpen: boolean;
}

/** Split at `separator` outside `<…>` and `"…"`. A comma inside a value is no boundary unless a target follows. */
function* pieces(text: string, separator: "," | ";"): Generator<Piece> {
  let start = 0;
  let isInTarget = false;
  let isQuoted = false;
  // First character behind the comma last looked at that is neither blank nor comma: looked for once, not per comma.
  let next = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "," && next <= at) {
      next = at + 1;
      while (next < text.length && BLANK.test(text[next] as string)) next++;
    }
    if (isQuoted) {
      if (character === "\\") at++;
      else if (character === '"') isQuoted = false;
    } else if (character === '"') isQuoted = !isInTarget;
    else if (character === "<" && isStartOfTarget(text, start, at)) isInTarget = true;
    else if (character === ">") isInTarget = false;
    else if (
      character === separator &&
      !isInTarget &&
      (separator === ";" || next === text.length || text[next] === "<")
    ) {
      yield { start, end: at, isOpen: false };
      start = at + 1;
    }
  }
  yield { start, end: text.length, isOpen: isQuoted || isInTarget };
}

/** Only the first `<` of a piece opens a target; one in a value is a value's character (RFC 6690 ptokenchar). */
function isStartOfTarget(text: string, start: number, at: number): boolean {
  for (let before = at - 1; before >= start; before--) {
    const character = text[before] as string;
    if (!BLANK.test(character)) return false;
  }
  return true;
}

const BLANK = /[\s,]/;

/** A link, or the reason why there is none; "" for an empty list element. */
function readPiece(piece: string): Link | string {
  const text = piece.trim();
  if (text === "") return "";
  if (!text.startsWith("<")) return "expected-target";
  const close = text.indexOf(">");
  if (close < 0) return "unclosed-target";
  const target = text.slice(1, close).trim();
  if (/[\s"<\u0000-\u001f]/.test(target)) return "bad-target";
  const attributes: Attribute[] = [];
  const rest = text.slice(close + 1);
  for (const { start, end } of pieces(rest, ";")) {
    const attribute = readAttribute(rest.slice(start, end).trim());
    if (attribute !== null) attributes.push(attribute);
  }
  return { target, attributes };
}

function readAttribute(text: string): Attribute | null {
  const equals = text.indexOf("=");
  const name = (equals < 0 ? text : text.slice(0, equals)).trim();
  if (!/^[^\s"<>,;=]+$/.test(name)) return null;
  return [name, equals < 0 ? null : readValue(text.slice(equals + 1).trim())];
}

function readValue(text: string): string {
  if (!text.startsWith('"')) return text.replace(/,+$/, "").trimEnd();
  let value = "";
  for (let at = 1; at < text.length; at++) {
    const character = text[at] as string;
    if (character === '"') break;
    if (character === "\\" && at + 1 < text.length) value += text[++at];
    else value += character;
  }
  // Control characters are what separates this from link format; nothing that is passed on may carry them.
  return value.replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, " ");
}
