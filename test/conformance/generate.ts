/**
 * Writes docs/conformance.md: every requirement of checklist.md with the tests whose titles name its ID. With `--check` it
 * only compares, and fails when the document is stale, when a requirement has neither a test nor a deferral
 * (deferred.json), or when a title names a requirement that does not exist.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const DOCUMENT = "docs/conformance.md";
const read = (path: string): string => readFileSync(`${root}/${path}`, "utf8");

interface Requirement {
  readonly id: string;
  readonly source: string;
  readonly level: string;
  readonly text: string;
  readonly expected: string;
}

interface Section {
  readonly title: string;
  readonly requirements: Requirement[];
}

const ID = "[A-Z]{3}-\\d{2}";
/** A literal that begins with IDs: the title of a test or the name of a row. What comes before tells a skipped test. */
const TITLE = new RegExp(`(\\.(?:skip|todo)\\(\\s*)?["'\`](${ID}(?: ${ID})*)(?=[ "'\`])`, "g");

function readChecklist(): Section[] {
  const sections: Section[] = [];
  for (const line of read("test/conformance/checklist.md").split("\n")) {
    if (line.startsWith("## ")) sections.push({ title: line.slice(3), requirements: [] });
    const [, id = "", source = "", level = "", text = "", expected = ""] = line.split("|").map((cell) => cell.trim());
    if (new RegExp(`^${ID}$`).test(id)) sections.at(-1)?.requirements.push({ id, source, level, text, expected });
  }
  return sections;
}

/** Test files by ID. */
function readTests(): Map<string, Set<string>> {
  const tests = new Map<string, Set<string>>();
  for (const file of globSync(["packages/*/src/**/*.test.ts", "test/**/*.test.ts"], { cwd: root }).sort()) {
    for (const [, skipped, ids = ""] of read(file).matchAll(TITLE)) {
      if (skipped !== undefined) continue;
      for (const id of ids.split(" ")) tests.set(id, (tests.get(id) ?? new Set()).add(file));
    }
  }
  return tests;
}

const sections = readChecklist().filter(({ requirements }) => requirements.length > 0);
const requirements = sections.flatMap((section) => section.requirements);
const tests = readTests();
const deferred = JSON.parse(read("test/conformance/deferred.json")) as Record<string, string>;

function proof(id: string): string {
  const files = [...(tests.get(id) ?? [])].map((file) => `[${basename(file)}](../${file})`).join(", ");
  if (deferred[id] === undefined) return files === "" ? "**no test**" : files;
  return files === "" ? `later: ${deferred[id]}` : `${files}; the rest later: ${deferred[id]}`;
}

/** Text of the checklist as text in Markdown: its stars, underscores and angle brackets are meant literally. */
function literally(text: string): string {
  return text.replace(/[\\*_<>`[\]]/g, "\\$&");
}

function table({ title, requirements: rows }: Section): string {
  const cells = rows.map((row) => [row.id, ...[row.source, row.level, row.text, row.expected].map(literally)]);
  const lines = cells.map((row) => `| ${row.join(" | ")} | ${proof(row[0] as string)} |`);
  return `## ${title}

| ID | source | level | requirement | expected | tests |
|---|---|---|---|---|---|
${lines.join("\n")}
`;
}

function document(): string {
  const tested = requirements.filter(({ id }) => tests.has(id)).length;
  return `# Conformance

Generated from the tests by \`npm run conformance\`: every requirement with the test files whose titles name it. ${tested} of
${requirements.length} have tests; the others say what they wait for. Sources: R = RFC 9176, L = RFC 6690, C = RFC 7252, O = RFC 7641,
B = RFC 7959, E = RFC 9175, W = RFC 8288, U = RFC 3986, T = RFC 8323, X = the replication draft. Level D is a decision of
this project.

${sections.map(table).join("\n")}`;
}

/** What is wrong, apart from a stale document. */
function findGaps(): string[] {
  const known = new Set(requirements.map(({ id }) => id));
  const untested = requirements.filter(({ id }) => !tests.has(id) && deferred[id] === undefined);
  const gaps: string[] = [];
  if (untested.length > 0) gaps.push(`no test names ${untested.map(({ id }) => id).join(", ")}`);
  for (const [id, files] of tests) if (!known.has(id)) gaps.push(`there is no ${id}: ${[...files].join(", ")}`);
  for (const id of Object.keys(deferred)) if (!known.has(id)) gaps.push(`deferred.json: there is no ${id}`);
  return gaps;
}

const gaps = findGaps();
if (!process.argv.includes("--check")) writeFileSync(`${root}/${DOCUMENT}`, document());
else if (read(DOCUMENT) !== document()) gaps.push(`${DOCUMENT} is stale: run \`npm run conformance\``);
for (const gap of gaps) process.stderr.write(`${gap}\n`);
if (gaps.length > 0) process.exitCode = 1;
