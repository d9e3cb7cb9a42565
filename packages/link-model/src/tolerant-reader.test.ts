import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { serialiseLinks } from "./link-format-writer.js";
import { parseLinkFormatTolerantly, readTolerantly } from "./tolerant-reader.js";

const read = (text: string | Uint8Array) => {
  const { links, leftOut, isTruncated } = parseLinkFormatTolerantly(text);
  return {
    links: links.map(({ target, attributes }) => [target, Object.fromEntries(attributes)]),
    leftOut,
    isTruncated,
  };
};

describe("one link never becomes part of another", () => {
  test.each([
    {
      name: "no comma after a quoted value",
      text: '<coap://a/t>;rt="temp"<coap://b/s>;rt="secret"',
      links: [
        ["coap://a/t", { rt: "temp" }],
        ["coap://b/s", { rt: "secret" }],
      ],
    },
    {
      name: "no comma after a target",
      text: "</a></b>;rt=x",
      links: [
        ["/a", {}],
        ["/b", { rt: "x" }],
      ],
    },
    {
      name: "no comma after a name",
      text: "</a>;obs</b>",
      links: [
        ["/a", { obs: null }],
        ["/b", {}],
      ],
    },
    {
      name: "no comma after a semicolon",
      text: "</a>;rt=x;</b>",
      links: [
        ["/a", { rt: "x" }],
        ["/b", {}],
      ],
    },
    {
      name: "a newline instead of a comma",
      text: '</a>;rt="x"\n</b>',
      links: [
        ["/a", { rt: "x" }],
        ["/b", {}],
      ],
    },
    {
      name: "no comma after an unquoted value: its end is ambiguous",
      text: '</a>;rt=temp</b>;rt="secret",</c>',
      links: [["/c", {}]],
      leftOut: 1,
    },
    { name: "a value that holds a target, by the letter", text: "</a>;rt=temp</b>;rt=x", links: [], leftOut: 1 },
    { name: "no semicolon before the first attribute", text: "</a>rt=x,</b>", links: [["/b", {}]], leftOut: 1 },
    { name: "no semicolon after a value", text: '</a>;rt="x"if="y",</b>', links: [["/b", {}]], leftOut: 1 },
    { name: "text after a value", text: '</a>;rt="x"y,</b>', links: [["/b", {}]], leftOut: 1 },
    { name: "an attribute without name", text: "</a>;=x;rt=y,</b>", links: [["/b", {}]], leftOut: 1 },
    { name: "a target within a target", text: "</a</b>;rt=x,</c>", links: [["/c", {}]], leftOut: 1 },
    {
      name: "what looks like a link in quotes",
      text: '</a>;t="x,</b>;rt=y" ,</c>',
      links: [
        ["/a", { t: "x,</b>;rt=y" }],
        ["/c", {}],
      ],
    },
    {
      name: "what looks like a link in the quotes of text that is left out",
      text: 'oops;t=",</evil>;rt=y",</c>',
      links: [["/c", {}]],
      leftOut: 1,
    },
    {
      name: "a quotation mark within a value: inside and outside of quotes are ambiguous",
      text: '</z>,</a>;t=5" ,</b>;t="x,</evil>;rt=y,",</c>',
      links: [["/z", {}]],
      leftOut: 1,
      isTruncated: true,
    },
    {
      name: "quotation marks that were not escaped",
      text: '</z>,</a>;t="say "hi",</evil>",</c>',
      links: [["/z", {}]],
      leftOut: 1,
      isTruncated: true,
    },
    { name: "a value cut off", text: '</z>,</a>;t="x,</b>', links: [["/z", {}]], leftOut: 1, isTruncated: true },
    { name: "a target cut off", text: "</z>,</a", links: [["/z", {}]], leftOut: 1, isTruncated: true },
  ])("$name", ({ text, links, leftOut = 0, isTruncated = false }) => {
    expect(read(text)).toEqual({ links, leftOut, isTruncated });
  });

  test("names that differ in bytes that are no UTF-8 do not become one", () => {
    const bytes = Buffer.concat([
      Buffer.from('</a>;ep="x'),
      Buffer.from([0xe4]),
      Buffer.from('",</b>;ep="x'),
      Buffer.from([0xf6]),
      Buffer.from('",</c>;ep="xü"'),
    ]);
    expect(read(bytes)).toEqual({ links: [["/c", { ep: "xü" }]], leftOut: 2, isTruncated: false });
  });
});

/** Characters that decide where something ends, and a few that do not. */
const roughText = fc.string({ unit: fc.constantFrom(...'<>"=;,\\ /ab*\n'), maxLength: 60 });

describe("whatever the text", () => {
  test("each link is literally there: its target, then its attributes, in this order, before the next one", () => {
    fc.assert(
      fc.property(roughText, (text) => {
        let at = 0;
        const find = (part: string, what: string) => {
          const found = text.indexOf(part, at);
          expect(found, `${what} in ${JSON.stringify(text)}`).toBeGreaterThanOrEqual(0);
          at = found + part.length;
        };
        // Escapes and control characters are not shown as they are written.
        if (/[\\\n]/.test(text)) return;
        for (const { target, attributes } of parseLinkFormatTolerantly(text).links) {
          find("<", "the start of a target");
          find(target, "a target");
          find(">", "the end of a target");
          for (const [name, value] of attributes) {
            find(name, "a name");
            if (value !== null) find(value, "a value");
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("text that is not all read is counted, and what was read is link format", () => {
    fc.assert(
      fc.property(roughText, (text) => {
        const { links, problems, leftOut, isTruncated } = parseLinkFormatTolerantly(text);
        if (leftOut > 0 || isTruncated) expect(problems.length).toBeGreaterThan(0);
        if (leftOut === 0 && !isTruncated) expect(text.includes("<") || /^[\s,]*$/.test(text)).toBe(true);
        const again = parseLinkFormatTolerantly(serialiseLinks(links));
        expect(again.links).toEqual(links);
      }),
      { numRuns: 2000 },
    );
  });

  test("bytes of any kind are read without a throw", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseLinkFormatTolerantly(bytes)));
  });
});

describe("links with separators removed", () => {
  /** Text of link `index`: each part of it carries the number, and may look like the beginning of another one. */
  const part = fc.constantFrom("", ",</x>;", "<", ";rt=", " ", "=", ",");
  const attribute = fc.record({
    name: fc.constantFrom("rt", "if", "title"),
    before: part,
    after: part,
    kind: fc.constantFrom("quoted", "plain", "none"),
  });
  const links = fc.array(fc.array(attribute, { maxLength: 3 }), { minLength: 1, maxLength: 5 });
  const removals = fc.infiniteStream(fc.integer({ min: 0, max: 3 }));

  test("no link gets anything of another one", () => {
    fc.assert(
      fc.property(links, removals, (lists, removed) => {
        const separator = (text: string) => (removed.next().value === 0 ? "" : text);
        const document = lists
          .map((attributes, index) => {
            const written = attributes.map(({ name, before, after, kind }) => {
              const own = `${name}${index}`;
              if (kind === "none") return own;
              return kind === "plain" ? `${own}=v${index}` : `${own}="${before}v${index}${after}"`;
            });
            return `</t${index}>${written.map((text) => separator(";") + text).join("")}`;
          })
          .reduce((all, text) => all + separator(",") + text);
        for (const { target, attributes } of parseLinkFormatTolerantly(document).links) {
          const index = /^\/t(\d)$/.exec(target)?.[1];
          expect(index, document).toBeDefined();
          const numbers = attributes.flatMap(([name, value]) => `${name} ${value ?? ""}`.match(/\d/g) ?? []);
          expect(new Set([...numbers, index]), document).toEqual(new Set([index]));
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("a long document in steps", () => {
  const run = (document: string | Uint8Array) => {
    const steps = readTolerantly(document);
    for (let count = 0; ; count++) {
      const { done, value } = steps.next();
      if (done === true) return { count, result: value };
    }
  };

  test.each([
    { name: "as it should be", document: Array.from({ length: 10_000 }, (_, at) => `</${at}>;rt="t"`).join() },
    { name: "with missing commas", document: Array.from({ length: 10_000 }, (_, at) => `</${at}>;rt="t"`).join("") },
    { name: "with links that are none", document: "x,</a>,".repeat(10_000) },
  ])("$name: the same result as at once, in steps of few links", ({ document }) => {
    const { count, result } = run(new TextEncoder().encode(document));
    expect(result).toEqual(parseLinkFormatTolerantly(document));
    expect(count).toBeGreaterThan(100);
  });
});
