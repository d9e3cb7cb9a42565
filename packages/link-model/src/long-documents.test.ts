import { expect, test } from "vitest";
import { MAX_LINK_LENGTH } from "./constants.js";
import { parseLinkFormatTolerantly, readTolerantly } from "./tolerant-reader.js";

/** What is read between two pauses, at most: the longest link twice, by the two readers. */
const MOST = 2 * MAX_LINK_LENGTH + 65_536;

const LENGTH = 4_000_000;
const filled = (start: string, middle: string, end = "") =>
  `</first>,${start}${middle.repeat(Math.ceil(LENGTH / middle.length))}${end}`;

test.each([
  { name: "attributes of one link", text: filled("</a>", ";a=b") },
  { name: "one value", text: filled('</a>;t="', "x", '"') },
  { name: "one escaped value", text: filled('</a>;t="', "\\x", '"') },
  { name: "one target", text: filled("</a", "b", ">") },
  { name: "one name", text: filled("</a>;", "b", "=c") },
  { name: "a token", text: filled("</a>;b=", "c") },
  { name: "blanks", text: filled("</a>", " ", ";b") },
  { name: "a value that is tolerated", text: filled('</a>;t= "', "\\x", '"') },
  { name: "a value without quotes", text: filled("</a>;t= ", "x y,") },
])("a document is read up to a link that is too long: $name", ({ text }) => {
  for (const input of [text, new TextEncoder().encode(text)]) {
    const { links, isTruncated, leftOut, problems } = parseLinkFormatTolerantly(input);
    expect(links.map(({ target }) => target)).toEqual(["/first"]);
    expect(isTruncated).toBe(true);
    expect(leftOut).toBe(1);
    expect(problems[0]?.reason).toMatch(/too-long|expected-separator|empty-value/);
  }
});

test.each([
  { name: "commas", text: filled("", ",", "</last>") },
  { name: "blanks between links", text: filled("", " ,", "</last>") },
  { name: "no links", text: filled("", "x", ",</last>") },
  { name: "no links, with values", text: filled("", 'x="<>" ', ",</last>") },
])("what is no link is passed over in steps: $name", ({ text }) => {
  let steps = 0;
  const work = readTolerantly(text);
  for (;;) {
    const { done, value } = work.next();
    steps++;
    if (done !== true) continue;
    expect(value.links.map(({ target }) => target)).toEqual(["/first", "/last"]);
    expect(value.isTruncated).toBe(false);
    break;
  }
  expect(steps).toBeGreaterThan(LENGTH / MOST);
});

test("a link as long as any registration is read", () => {
  const value = "x".repeat(65_536);
  expect(parseLinkFormatTolerantly(`</a>;t="${value}",</b>`).links).toHaveLength(2);
  expect(parseLinkFormatTolerantly(`</a>;t= "${value}",</b>`).links).toHaveLength(2);
});

test("text is decoded in steps, wherever a character is cut", () => {
  const text = `${Array.from({ length: 200_000 }, (_, at) => `</${at}>;t="é☃"`).join()}`;
  const { links, problems } = parseLinkFormatTolerantly(new TextEncoder().encode(text));
  expect(problems).toEqual([]);
  expect(links).toHaveLength(200_000);
  expect(new Set(links.map(({ attributes }) => attributes[0]?.[1]))).toEqual(new Set(["é☃"]));
});
