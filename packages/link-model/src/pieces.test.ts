import fc from "fast-check";
import { expect, test } from "vitest";
import { parseLinkFormat, readLinksOfPiece } from "./link-format-reader.js";
import { parseLinkFormatTolerantly } from "./tolerant-reader.js";
import type { Link } from "./types.js";

/** Reads a document that arrives in pieces; null if it is not strict link format. */
function readInPieces(pieces: readonly string[]): Link[] | null {
  const links: Link[] = [];
  let rest = "";
  for (const [at, piece] of pieces.entries()) {
    const text = rest + piece;
    const work = readLinksOfPiece(text, links, { isLast: at === pieces.length - 1, maxLinkLength: 1000 });
    let step = work.next();
    while (step.done !== true) step = work.next();
    if (step.value.problem !== null) return null;
    rest = text.slice(step.value.end);
  }
  return links;
}

const word = fc.stringMatching(/^[a-z0-9]{1,6}$/);
const value = fc.oneof(word, fc.constantFrom('"a,b"', '"<x>;y"', '"\\""', '""', '"\\\\"', "1", '"é☃"'));
const attribute = fc.oneof(
  fc.tuple(word, value).map(([name, text]) => `;${name}=${text}`),
  word.map((name) => `;${name}`),
  word.map((name) => ` ; ${name} = 1 `),
);
const link = fc
  .tuple(word, fc.array(attribute, { maxLength: 3 }))
  .map(([target, rest]) => `</${target}>${rest.join("")}`);
const separator = fc.constantFrom(",", " , ", ",\n", ",,", ";", "", ",x,");
const good = fc.array(link, { maxLength: 12 }).map((links) => links.join(","));
const odd = fc
  .array(fc.tuple(link, separator), { maxLength: 8 })
  .map((parts) => parts.map(([text, end]) => text + end).join(""));

test.each([
  ["strict", good],
  ["perhaps not strict", odd],
])("wherever a document that is %s is cut, its links are those of the whole", (_, documents) => {
  fc.assert(
    fc.property(documents, fc.array(fc.nat(), { maxLength: 8 }), (document, places) => {
      const cuts = [...places.map((place) => place % (document.length + 1)), 0, document.length].sort((a, b) => a - b);
      const pieces = cuts.slice(1).map((end, at) => document.slice(cuts[at], end));
      const whole = parseLinkFormat(document);
      expect(readInPieces(pieces)).toEqual(whole.ok ? whole.links : null);
    }),
    { numRuns: 3000 },
  );
});

test("a long strict document is read as it is written, wherever it is cut", () => {
  const text = Array.from({ length: 40_000 }, (_, at) => `</${at}>;t="é☃,<";if=${at}`).join();
  const { links, problems } = parseLinkFormatTolerantly(new TextEncoder().encode(text.replaceAll('<"', '"')));
  expect(problems).toEqual([]);
  expect(links).toHaveLength(40_000);
  expect(links.every(({ target }, at) => target === `/${at}`)).toBe(true);
});
