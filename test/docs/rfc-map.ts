/**
 * Writes docs/rfc-map.md: for each section of an RFC or of the draft that the sources cite, the files that implement it and the
 * tests that cite it or stand beside those files. With `--check` it only compares, and ends with status 1 when the page is stale.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = `${root}/docs/rfc-map.md`;

const TITLES: Readonly<Record<string, string>> = {
  "RFC 3986": "URIs",
  "RFC 5952": "text form of IPv6 addresses",
  "RFC 6690": "CoRE link format",
  "RFC 6902": "JSON Patch",
  "RFC 7252": "CoAP",
  "RFC 7641": "Observe",
  "RFC 7959": "block-wise transfer",
  "RFC 7967": "No-Response",
  "RFC 8132": "PATCH and FETCH",
  "RFC 8288": "web linking",
  "RFC 8323": "CoAP over TCP",
  "RFC 8768": "Hop-Limit",
  "RFC 9110": "HTTP",
  "RFC 9175": "Echo and Request-Tag",
  "RFC 9176": "CoRE Resource Directory",
  "RFC 9264": "linkset",
  draft: "draft-amsuess-core-rd-replication-01",
};

interface Place {
  readonly sources: Set<string>;
  readonly tests: Set<string>;
}

/** `RFC 7252 section 5.10.8`, `RFC 3986 sections 5.4.1 and 5.4.2`, `RFC 3986 appendix A`, `draft 6.2.1`. */
const CITATION =
  /(RFC \d{4}|draft)[, ](?:sections? |appendix |figure )?((?:\d+(?:\.\d+)+|\d+(?=[\s,.;:)])|[A-Z](?=[\s,.;:)]))(?:(?:, | and )\d+(?:\.\d+)+)*)/g;

function citationsOf(file: string): [document: string, section: string][] {
  // A citation may go on in the next line of a comment.
  const text = readFileSync(`${root}/${file}`, "utf8").replace(/\n\s*(?:\*|\/\/) ?/g, " ");
  return [...text.matchAll(CITATION)].flatMap(([, document = "", sections = ""]) =>
    sections.split(/, | and /).map((section): [string, string] => [document, section]),
  );
}

const documents = new Map<string, Map<string, Place>>();

function placeOf(document: string, section: string): Place {
  const sections = documents.get(document) ?? new Map<string, Place>();
  documents.set(document, sections);
  const place = sections.get(section) ?? { sources: new Set(), tests: new Set() };
  sections.set(section, place);
  return place;
}

for (const file of globSync(["packages/*/src/**/*.ts", "test/**/*.test.ts"], { cwd: root }).sort()) {
  const isTest = file.endsWith(".test.ts");
  if (!isTest && /\/testing\//.test(file)) continue;
  const own = file.replace(/\.ts$/, ".test.ts");
  for (const [document, section] of citationsOf(file)) {
    const place = placeOf(document, section);
    if (isTest) place.tests.add(file);
    else {
      place.sources.add(file);
      if (existsSync(`${root}/${own}`)) place.tests.add(own);
    }
  }
}

function bySection(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

function links(files: ReadonlySet<string>): string {
  return [...files]
    .sort()
    .map((file) => `[${file.replace(/^packages\//, "").replace("/src/", "/")}](../${file})`)
    .join("<br>");
}

function tableOf(document: string): string {
  const sections = [...(documents.get(document) ?? [])].sort(([one], [other]) => bySection(one, other));
  const rows = sections.map(([section, { sources, tests }]) => `| ${section} | ${links(sources)} | ${links(tests)} |`);
  const title = TITLES[document] === undefined ? document : `${document}: ${TITLES[document]}`;
  return `## ${title}\n\n| section | sources | tests |\n|---|---|---|\n${rows.join("\n")}\n`;
}

const page = `# From the RFCs to the code

Which files implement a section, and which tests try it. Written by \`npm run rfc-map\` from the citations in the sources; what is
required, with the tests for each requirement, is in [conformance](conformance.md).

${[...documents.keys()].sort(bySection).map(tableOf).join("\n")}`;

if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
else if (!existsSync(PAGE) || readFileSync(PAGE, "utf8") !== page) {
  process.stderr.write("docs/rfc-map.md is stale; run: npm run rfc-map\n");
  process.exit(1);
}
