import { expect, test } from "vitest";
import { formatQuery, parseFilter } from "./filters.ts";

test.each([
  { name: "nothing", text: "  ", query: "" },
  {
    name: "items between spaces and ampersands",
    text: "ep=lamp*  rt=light&d=floor1",
    query: "ep=lamp*&rt=light&d=floor1",
  },
  { name: "a word is the beginning of an endpoint name", text: "lamp", query: "ep=lamp*" },
  { name: "a word with a wildcard keeps it", text: "lamp*", query: "ep=lamp*" },
  { name: "spaces within quotation marks", text: 'title="Room 5" if=core.s', query: "title=Room%205&if=core.s" },
  { name: "an equals sign in a value", text: "href=/a?b=c", query: "href=%2Fa%3Fb%3Dc" },
  { name: "other alphabets, plus and percent signs", text: "ep=lämp+100%", query: "ep=l%C3%A4mp%2B100%25" },
])("$name", ({ text, query }) => {
  const filter = parseFilter(text);
  expect(filter.ok && formatQuery(filter.items)).toBe(query);
});

test.each([
  { text: "=light", problem: "has no name" },
  { text: "rt=light page=3", problem: "page is set by" },
  { text: 'title="Room 5', problem: "only one quotation mark" },
])("$text is refused", ({ text, problem }) => {
  expect(parseFilter(text)).toEqual({ ok: false, problem: expect.stringContaining(problem) });
});
