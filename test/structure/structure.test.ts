import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { forbiddenImports, importName, PACKAGES } from "../../.ci/packages.mjs";

const packages = fileURLToPath(new URL("../../packages/", import.meta.url));
/** A folder with more files than this is hard to find one's way in. */
const MAX_FILES = 20;

interface SourceFile {
  /** Path below `src`, without extension. */
  readonly path: string;
  readonly text: string;
  /** What it imports, as written. */
  readonly imports: readonly string[];
}

function sourcesOf(name: string): SourceFile[] {
  const folder = join(packages, name, "src");
  const paths = globSync("**/*.ts", { cwd: folder }).filter((path) => !path.endsWith(".test.ts"));
  return paths.map((path) => {
    const text = readFileSync(join(folder, path), "utf8");
    const imports = [...text.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";|\bimport\("([^"]+)"\)/gm)];
    return { path: path.replace(/\.ts$/, ""), text, imports: imports.map(([, one, other]) => one ?? other ?? "") };
  });
}

/** Edges between the files of a package. */
function edgesOf(sources: readonly SourceFile[]): [string, string][] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier): [string, string] => [path, normalize(join(dirname(path), specifier)).replace(/\.[jt]s$/, "")]),
  );
}

/** A way from a node back to itself, or null. */
function circle(edges: readonly (readonly [string, string])[]): readonly string[] | null {
  const next = new Map<string, Set<string>>();
  for (const [from, to] of edges) next.set(from, (next.get(from) ?? new Set()).add(to));
  const done = new Set<string>();
  const visit = (node: string, way: readonly string[]): readonly string[] | null => {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node];
    if (done.has(node)) return null;
    for (const other of next.get(node) ?? []) {
      const found = visit(other, [...way, node]);
      if (found !== null) return found;
    }
    done.add(node);
    return null;
  };
  for (const node of next.keys()) {
    const found = visit(node, []);
    if (found !== null) return found;
  }
  return null;
}

/** The folder of a file; a file right below `src` stands for itself. */
function room(path: string): string {
  return path.includes("/") ? dirname(path) : path;
}

const PURE_DENIED =
  /\bMath\.random\b|\bDate\b\.|\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|\bperformance\.|from "node:/;

describe.each(PACKAGES.map((entry, index) => ({ ...entry, index })))("$name", ({ name, isPure, index }) => {
  const sources = sourcesOf(name);

  test("imports only packages that stand lower", () => {
    const forbidden = forbiddenImports(index);
    const found = sourcesOf(name).flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => forbidden.some((one) => specifier === one || specifier.startsWith(`${one}/`)))
        .map((specifier) => `${path} imports ${specifier}`),
    );
    expect(found).toEqual([]);
  });

  test("depends in its manifest on what it imports, and on nothing else of the project", () => {
    const manifest = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8"));
    const imported = new Set(
      sources.flatMap(({ imports }) => imports).filter((specifier) => !/^(?:[.]|node:)/.test(specifier)),
    );
    const names = new Set(
      [...imported].map((specifier) =>
        specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/"),
      ),
    );
    expect(Object.keys(manifest.dependencies ?? {}).sort()).toEqual([...names].sort());
    expect(manifest.name).toBe(importName(name));
  });

  test("no files and no folders import each other in a circle", () => {
    const edges = edgesOf(sources).filter(([from]) => from !== "index");
    expect(circle(edges)).toBeNull();
    const rooms = edges.map(([from, to]): [string, string] => [room(from), room(to)]);
    expect(circle(rooms.filter(([from, to]) => from !== to && !from.startsWith("testing")))).toBeNull();
  });

  test("no folder is too full", () => {
    const counts = new Map<string, number>();
    for (const { path } of sources) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > MAX_FILES)).toEqual([]);
  });

  test.runIf(isPure)("is pure: time and randomness are arguments", () => {
    expect(
      sources
        .filter(({ path, text }) => !path.startsWith("testing/") && PURE_DENIED.test(text))
        .map(({ path }) => path),
    ).toEqual([]);
  });
});

describe("the status page in the browser", () => {
  const folder = join(packages, "status-page/page");
  const files = globSync("**/*.{ts,tsx}", { cwd: folder }).filter((path) => !path.endsWith(".test.ts"));
  const textOf = (path: string): string => readFileSync(join(folder, path), "utf8");

  test("folders import each other in one direction, and nothing else of the project", () => {
    const edges = files.flatMap((path) =>
      [...textOf(path).matchAll(/^import\b[^;]*?"([^"]+)";/gm)].map(([, specifier = ""]): [string, string] => [
        path,
        specifier.startsWith(".") ? normalize(join(dirname(path), specifier)) : specifier,
      ]),
    );
    expect(edges.filter(([, to]) => /^(?:@tributary|tributary|node:|[.][.])/.test(to))).toEqual([]);
    expect(circle(edges)).toBeNull();
    const rooms = edges.map(([from, to]): [string, string] => [room(from), room(to)]);
    expect(circle(rooms.filter(([from, to]) => from !== to))).toBeNull();
  });

  test("nothing becomes HTML but by Preact, and files are short", () => {
    const risky =
      /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/;
    expect(files.filter((path) => risky.test(textOf(path)))).toEqual([]);
    expect(files.filter((path) => textOf(path).split("\n").length > 300)).toEqual([]);
  });
});

test("every package is in the list", () => {
  const found = globSync("*/package.json", { cwd: packages }).map((path) => relative(".", dirname(path)));
  expect(found.sort()).toEqual(PACKAGES.map(({ name }) => name).sort());
});
