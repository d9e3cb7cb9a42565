/**
 * Writes docs/conformance.md: every requirement of checklist.md with the tests whose titles name its ID, and the modes in
 * which they try it; and docs/modes.md. With `--check` it only compares, and fails when a document is stale, when a
 * requirement has neither a test nor a deferral (deferred.json), when one of the federation is not tried in every mode, or
 * when a title names a requirement that does not exist.
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { modesDocument } from "../modes/document.ts";
import { MODES, type Mode } from "../modes/promises.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const DOCUMENT = "docs/conformance.md";
const MODES_DOCUMENT = "docs/modes.md";
/** What nodes that are proxies and RDs promise to each other has to hold in every mode. */
const IN_EVERY_MODE = ["LPX-06", "LPX-11", "LPX-12", "LPX-14"];
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

/** A title that names a mode, or is filled in with one. */
const NAMES_MODE = new RegExp(`["'\`][^"'\`\n]*\\bmode (?:\\$|${MODES.join("|")})`);

/**
 * Modes by ID, from the names of the tests as vitest collects them: those of a table are filled in with what the test gets.
 * Only files with a title about modes are collected.
 */
function readModes(files: readonly string[]): Map<string, Set<Mode>> {
  const vitest = `${root}/node_modules/vitest/vitest.mjs`;
  const options = ["list", "--json", "--no-static-parse", "--config", "test/vitest.config.ts", ...files];
  const listed = execFileSync(process.execPath, [vitest, ...options], { cwd: root, encoding: "utf8" });
  const modes = new Map<string, Set<Mode>>();
  for (const { name } of JSON.parse(listed.slice(listed.indexOf("["))) as { name: string }[]) {
    const named = [...name.matchAll(new RegExp(`\\bmode (${MODES.join("|")})\\b`, "g"))].map(
      ([, mode]) => mode as Mode,
    );
    for (const [id] of name.matchAll(new RegExp(`\\b${ID}\\b`, "g")))
      modes.set(id, new Set([...(modes.get(id) ?? []), ...named]));
  }
  return modes;
}

const sections = readChecklist().filter(({ requirements }) => requirements.length > 0);
const requirements = sections.flatMap((section) => section.requirements);
const tests = readTests();
const modes = readModes(
  [...new Set([...tests.values()].flatMap((files) => [...files]))].filter((file) => NAMES_MODE.test(read(file))),
);
const deferred = JSON.parse(read("test/conformance/deferred.json")) as Record<string, string>;

function proof(id: string): string {
  const files = [...(tests.get(id) ?? [])].map((file) => `[${basename(file)}](../${file})`).join(", ");
  if (deferred[id] === undefined) return files === "" ? "**no test**" : files;
  return files === "" ? `later: ${deferred[id]}` : `${files}; the rest later: ${deferred[id]}`;
}

function modesOf(id: string): string {
  const tried = MODES.filter((mode) => modes.get(id)?.has(mode));
  return tried.length === MODES.length ? "all four" : tried.join(", ");
}

/** Text of the checklist as text in Markdown: its stars, underscores and angle brackets are meant literally. */
function literally(text: string): string {
  return text.replace(/[\\*_<>`[\]]/g, "\\$&");
}

function table({ title, requirements: rows }: Section): string {
  const cells = rows.map((row) => [row.id, ...[row.source, row.level, row.text, row.expected].map(literally)]);
  const lines = cells.map(
    (row) => `| ${row.join(" | ")} | ${modesOf(row[0] as string)} | ${proof(row[0] as string)} |`,
  );
  return `## ${title}

| ID | source | level | requirement | expected | modes | tests |
|---|---|---|---|---|---|---|
${lines.join("\n")}
`;
}

function document(): string {
  const tested = requirements.filter(({ id }) => tests.has(id)).length;
  return `# Conformance

Generated from the tests by \`npm run conformance\`: every requirement with the test files whose titles name it. ${tested} of
${requirements.length} have tests; the others say what they wait for. Sources: R = RFC 9176, L = RFC 6690, C = RFC 7252, O = RFC 7641,
B = RFC 7959, E = RFC 9175, W = RFC 8288, U = RFC 3986, T = RFC 8323, X = the replication draft. Level D is a decision of
this project. Modes are those of upstreams ([what each promises](modes.md)) in which a test tries the requirement, as the names of the
tests say; where there is none, the test knows no upstream, or only the default, \`replicate\`.

${sections.map(table).join("\n")}`;
}

/** What is wrong, apart from a stale document. */
function findGaps(): string[] {
  const known = new Set(requirements.map(({ id }) => id));
  const untested = requirements.filter(({ id }) => !tests.has(id) && deferred[id] === undefined);
  const gaps: string[] = [];
  if (untested.length > 0) gaps.push(`no test names ${untested.map(({ id }) => id).join(", ")}`);
  for (const [id, files] of tests) if (!known.has(id)) gaps.push(`there is no ${id}: ${[...files].join(", ")}`);
  for (const id of IN_EVERY_MODE) {
    const missing = MODES.filter((mode) => !modes.get(id)?.has(mode));
    if (missing.length > 0) gaps.push(`no test tries ${id} in mode ${missing.join(", ")}`);
  }
  for (const id of Object.keys(deferred)) if (!known.has(id)) gaps.push(`deferred.json: there is no ${id}`);
  return gaps;
}

const gaps = findGaps();
for (const [path, text] of [
  [DOCUMENT, document()],
  [MODES_DOCUMENT, modesDocument()],
] as const) {
  if (!process.argv.includes("--check")) writeFileSync(`${root}/${path}`, text);
  else if (read(path) !== text) gaps.push(`${path} is stale: run \`npm run conformance\``);
}
for (const gap of gaps) process.stderr.write(`${gap}\n`);
if (gaps.length > 0) process.exitCode = 1;
