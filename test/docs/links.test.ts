import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGES = globSync(["*.md", "docs/**/*.md", "packages/*/README.md", "deploy/**/*.md"], { cwd: ROOT });

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** The names by which GitHub links to the headings of a page. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** What is wrong with the relative links of a page. */
function brokenLinks(page: string): string[] {
  const links = [...read(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
  return links.flatMap(([link, path = "", anchor]) => {
    const target = path === "" ? page : join(dirname(page), path);
    if (!existsSync(join(ROOT, target))) return [`${link}: no such file`];
    if (anchor !== undefined && !anchorsOf(read(target)).has(anchor)) return [`${link}: no such heading`];
    return [];
  });
}

test.each(PAGES)("the links of %s lead somewhere", (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

test("the index of decisions lists each of them, and each has status and date", () => {
  const index = read("docs/decisions/README.md");
  const records = readdirSync(join(ROOT, "docs/decisions")).filter((name) => /^\d{4}-/.test(name));
  const faults = records.filter((name) => {
    const hasForm = /^# \d+\. .*\n\n\*\*Status\*\*: [\s\S]*?·\s\*\*Date\*\*: \d{4}-\d\d-\d\d\n/.test(
      read(`docs/decisions/${name}`),
    );
    return !hasForm || !index.includes(`](${name})`);
  });
  expect(faults).toEqual([]);
});
