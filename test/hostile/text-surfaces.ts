import { isDeepStrictEqual } from "node:util";
import {
  checkLimitedLinkFormat,
  type Link,
  parseLinkFormat,
  parseLinkFormatTolerantly,
  parseLookupQuery,
  resolveLink,
  serialiseLinks,
} from "@tributary/link-model";
import {
  createDirectory,
  endpointLink,
  registrationMatches,
  resourceLink,
  resourceMatches,
  type SourcedRegistration,
} from "@tributary/merge-engine";
import { checkConfig, formatConfigError } from "@tributary/node";
import { CONFIGURATIONS, DOCUMENTS, ITEMS } from "./corpus.ts";
import { cuttings, Finding, type Surface, type Target } from "./surface.ts";
import { mutateBytes, mutateText } from "./text-mutations.ts";

/** What is done with one text; nothing outlives it. */
function stateless<I>(feed: (input: I) => void): Target<I> {
  return { feed, check: () => {}, finish: () => {}, close: () => {} };
}

function simplerBytes(bytes: Uint8Array): Iterable<Uint8Array> {
  return cuttings(bytes, (head, tail) => Uint8Array.from([...head, ...tail]));
}

function simplerText(text: string): Iterable<string> {
  return cuttings(text, (head, tail) => head + tail);
}

const BASE = "coap://[2001:db8::5]:61616";
const LINK_TOKENS = [
  "<",
  ">",
  ";rt=",
  ",</a>",
  ';anchor="',
  '";',
  "</",
  ";obs",
  ";title*=UTF-8''",
  ';ct="40 51"',
  ",,",
  "\\",
];

/** Link-format documents, read strictly and tolerantly. */
export const linkFormatSurface: Surface<Uint8Array> = {
  name: "link-format documents",
  share: 15,
  make: (chance) => mutateBytes(chance, mutateText(chance, chance.pick(DOCUMENTS), LINK_TOKENS)),
  open: () => stateless(readDocument),
  show: (bytes) => JSON.stringify(Buffer.from(bytes).toString("latin1")),
  simpler: simplerBytes,
};

function readDocument(bytes: Uint8Array): void {
  const strict = parseLinkFormat(bytes);
  const tolerant = parseLinkFormatTolerantly(bytes);
  if (!strict.ok) {
    if (tolerant.problems.length === 0) throw new Finding("read tolerantly without a word, and not strictly");
    return;
  }
  // A value may hold `<` by the grammar; of a foreign directory it is more likely that a comma is missing in front of a link.
  const opened = bytes.filter((byte) => byte === 0x3c).length;
  if (opened === strict.links.length)
    assertSame("a tolerant reader reads what is right differently", tolerant.links, strict.links);
  checkLimitedLinkFormat(strict.links);
  for (const link of strict.links) resolveLink(BASE, link);
  const again = parseLinkFormat(serialiseLinks(strict.links));
  if (!again.ok) throw new Finding(`what was read cannot be read when written: ${again.error.message}`);
  assertSame("what was read is another when written and read", again.links, strict.links);
}

function assertSame(what: string, found: readonly Link[], expected: readonly Link[]): void {
  if (!isDeepStrictEqual(found, expected))
    throw new Finding(`${what}: ${JSON.stringify(found)} and not ${JSON.stringify(expected)}`);
}

const YAML_TOKENS = [
  "\n",
  ": ",
  "- ",
  "{",
  "}",
  "[",
  "]",
  "&a ",
  "*a",
  "!!",
  "|",
  ">",
  "? ",
  "---\n",
  "<<: ",
  "limits:",
  "0x",
  "~",
];

/** Configuration files: errors with a place inside the file, never an exception. */
export const configurationSurface: Surface<string> = {
  name: "configurations",
  share: 5,
  make: (chance) => mutateText(chance, chance.pick(CONFIGURATIONS), YAML_TOKENS),
  open: () => stateless(readConfiguration),
  show: (text) => JSON.stringify(text),
  simpler: simplerText,
};

function readConfiguration(text: string): void {
  const result = checkConfig(text, "hostile.yaml");
  if (result.ok) return;
  if (result.errors.length === 0) throw new Finding("refused without an error");
  const lines = text.split("\n").length;
  for (const error of result.errors) {
    const [, line = "0", column = "0"] = /^hostile\.yaml:(\d+):(\d+): ./s.exec(formatConfigError(error)) ?? [];
    if (!(Number(line) >= 1 && Number(line) <= lines + 1 && Number(column) >= 1))
      throw new Finding(`an error without a place in the file: ${formatConfigError(error)}`);
  }
}

/** Lookup queries: the index answers as the matcher does over all registrations. */
export const querySurface: Surface<readonly string[]> = {
  name: "queries",
  share: 10,
  make: (chance) =>
    Array.from({ length: chance.is(0.97) ? chance.below(4) : chance.below(80) }, () =>
      mutateText(chance, chance.pick(ITEMS), ["*", "=", "ep=", "href=/reg/", "coap://", "rt=", "count="]),
    ),
  open: () => stateless(createAsker()),
  show: (items) => JSON.stringify(items),
  *simpler(items) {
    yield* cuttings(items, (head, tail) => [...head, ...tail]);
    for (const [index, item] of items.entries()) {
      for (const text of simplerText(item)) yield items.map((other, at) => (at === index ? text : other));
    }
  },
};

const NOW_MS = 1000;
const REGISTRATIONS = 60;

function createAsker(): (items: readonly string[]) => void {
  const directory = createDirectory();
  directory.openSource("local", { authority: null });
  directory.openSource("far", { authority: "coap://[2001:db8::f]" });
  for (const source of ["local", "far"]) directory.setConnected(source, true, NOW_MS);
  for (let index = 0; index < REGISTRATIONS; index++) {
    const parsed = parseLinkFormat(DOCUMENTS[index % DOCUMENTS.length] ?? "");
    directory.put(
      index % 3 === 0 ? "far" : "local",
      {
        href: `/reg/${index}`,
        ep: `a${index % 40}`,
        ...(index % 2 === 0 ? { d: "s" } : {}),
        base: BASE,
        attributes: [["et", `x${index % 5}`]],
        links: parsed.ok ? parsed.links.map((link) => resolveLink(BASE, link)) : [],
        renewedAtMs: index,
        expiresAtMs: Number.MAX_SAFE_INTEGER,
        expiry: "exact",
      },
      NOW_MS,
    );
  }
  const visible: SourcedRegistration[] = [...directory.inspect()]
    .filter(({ state }) => state === "visible")
    .map(({ registration }) => registration);
  return (items) => {
    const parsed = parseLookupQuery(items);
    if (!parsed.ok) return;
    const { page: _page, count: _count, ...query } = parsed.query;
    const { criteria, showProvenance } = query;
    const endpoints = visible.filter((entry) => registrationMatches(criteria, entry)).map(endpointLink);
    const resources = visible.flatMap((entry) =>
      entry.links
        .filter((link) => resourceMatches(criteria, entry, link))
        .map((link) => resourceLink(link, entry, showProvenance)),
    );
    assertSameSet("endpoints", [...directory.lookup("ep", query, NOW_MS)], endpoints);
    assertSameSet("resources", [...directory.lookup("res", query, NOW_MS)], resources);
    const page = [...directory.lookup("ep", parsed.query, NOW_MS)];
    if (page.length > endpoints.length) throw new Finding("a page has more than there is");
  };
}

function assertSameSet(what: string, found: readonly Link[], expected: readonly Link[]): void {
  const sorted = (links: readonly Link[]) => links.map((link) => JSON.stringify(link)).sort();
  if (!isDeepStrictEqual(sorted(found), sorted(expected)))
    throw new Finding(`${found.length} ${what} are found, ${expected.length} match`);
}
