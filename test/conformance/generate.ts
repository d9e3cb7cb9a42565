/**
 * Writes docs/conformance.md: every requirement of checklist.md with the tests whose titles name its ID. With `--check` it
 * only compares, and fails when the document is stale or a requirement has neither a test nor a deferral.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, "utf8");

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

function readChecklist(): Section[] {
  const sections: Section[] = [];
  for (const line of read("test/conformance/checklist.md").split("\n")) {
    if (line.startsWith("## ")) sections.push({ title: line.slice(3), requirements: [] });
    const cells = line.split("|").map((cell) => cell.trim());
    const [, id = "", source = "", level = "", text = "", expected = ""] = cells;
    if (new RegExp(`^${ID}$`).test(id)) sections.at(-1)?.requirements.push({ id, source, level, text, expected });
  }
  return sections;
}

/** Test files by requirement: IDs stand at the start of a title or of a row's name. */
function readTests(): Map<string, Set<string>> {
  const tests = new Map<string, Set<string>>();
  for (const file of globSync(["packages/*/src/**/*.test.ts", "test/**/*.test.ts"], { cwd: root }).sort()) {
    for (const [, ids = ""] of read(file).matchAll(new RegExp(`["'\`]((?:${ID} )+)`, "g"))) {
      for (const id of ids.trim().split(" ")) tests.set(id, (tests.get(id) ?? new Set()).add(file));
    }
  }
  return tests;
}

const sections = readChecklist();
const tests = readTests();
const deferred = JSON.parse(read("test/conformance/deferred.json")) as Record<string, string>;
const untested: string[] = [];

function proof({ id }: Requirement): string {
  const files = [...(tests.get(id) ?? [])];
  if (files.length > 0) return files.map((file) => `[${file.split("/").at(-1)}](../${file})`).join(", ");
  if (deferred[id] !== undefined) return `not yet: ${deferred[id]}`;
  untested.push(id);
  return "**no test**";
}

function document(): string {
  const all = sections.flatMap(({ requirements }) => requirements);
  const tables = sections.map(({ title, requirements }) => {
    const rows = requirements.map(
      (one) => `| ${one.id} | ${one.source} | ${one.level} | ${one.text} | ${one.expected} | ${proof(one)} |`,
    );
    return `## ${title}\n\n| ID | source | level | requirement | expected | tests |\n|---|---|---|---|---|---|\n${rows.join("\n")}\n`;
  });
  const count = all.filter(({ id }) => tests.has(id)).length;
  return `# Conformance

Generated from the tests by \`npm run conformance\`: every requirement with the tests that name it. ${count} of ${all.length} have
tests; the others say what they wait for. Sources: R = RFC 9176, L = RFC 6690, C = RFC 7252, O = RFC 7641, B = RFC 7959,
E = RFC 9175, W = RFC 8288, U = RFC 3986, T = RFC 8323, X = the replication draft. Level D is a decision of this project.

${tables.join("\n")}`;
}

const text = document();
if (untested.length > 0) {
  process.stderr.write(`no test names ${untested.join(", ")}\n`);
  process.exitCode = 1;
}
if (!process.argv.includes("--check")) writeFileSync(`${root}/docs/conformance.md`, text);
else if (read("docs/conformance.md") !== text) {
  process.stderr.write("docs/conformance.md is stale: run `npm run conformance`\n");
  process.exitCode = 1;
}
