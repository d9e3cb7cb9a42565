import { readFileSync } from "node:fs";
import { type Attribute, type Link, parseLinkFormat, parseLookupQuery, resolveLink } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { createDirectory } from "../directory.js";
import type { Directory, LookupInterface } from "../types.js";

interface VectorRegistration {
  readonly rd: string;
  readonly ep: string;
  readonly d: string | null;
  readonly et: string[];
  readonly lt: number;
  readonly lt_age: number;
  readonly base: string;
  readonly href: string;
  readonly extra: [string, string | null][];
  readonly payload: string;
}

interface VectorLink {
  readonly target: string;
  readonly attrs: Attribute[];
  readonly provenance?: string;
}

interface VectorCase {
  readonly name: string;
  readonly at: string;
  readonly interface: LookupInterface;
  readonly kind: "set" | "pages" | "limit" | "error";
  readonly query: string[];
  readonly why: string;
  readonly expect?: VectorLink[];
  readonly count?: number;
  readonly pages?: number;
  readonly page_sizes?: number[];
  readonly union?: VectorLink[];
  readonly expect_size?: number;
  readonly subset_of?: VectorLink[];
  readonly state?: { unreachable: string[]; elapsed: number };
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../../test/conformance/lookup-vectors.json", import.meta.url), "utf8"),
) as {
  rds: Record<string, string>;
  registrations: VectorRegistration[];
  cases: VectorCase[];
};

/** What the cases test, in the terms of the checklist. */
const REQUIREMENTS = [
  { ids: "LKP-01", cases: "lk-002 lk-004" },
  { ids: "LKP-01 LKP-04 LKP-05", cases: "lk-003" },
  { ids: "LPX-05 LPX-06", cases: "lk-005" },
  { ids: "LKP-11", cases: "lk-007 lk-008 lk-035 lk-048" },
  { ids: "LKP-12", cases: "lk-009 lk-010 lk-016 lk-017 lk-019 lk-037 lk-064 lk-072" },
  { ids: "LKP-13", cases: "lk-013 lk-020 lk-021 lk-022 lk-028" },
  { ids: "LKP-09", cases: "lk-024 lk-025 lk-065" },
  { ids: "LKP-10 REG-28", cases: "lk-062" },
  { ids: "LKP-14", cases: "lk-030 lk-031 lk-033" },
  { ids: "LKP-14 REG-28", cases: "lk-061 lk-063" },
  { ids: "LKP-23", cases: "lk-036" },
  { ids: "LKP-36", cases: "lk-040" },
  { ids: "LKP-24", cases: "lk-043" },
  { ids: "LKP-15", cases: "lk-045 lk-051 lk-055 lk-068 lk-069" },
  { ids: "REG-03 LKP-11", cases: "lk-046 lk-054" },
  { ids: "LKP-17 LKP-18", cases: "lk-052" },
  { ids: "LKP-16 LKP-18", cases: "lk-053 lk-067 lk-071" },
  { ids: "LKP-18", cases: "lk-057 lk-058 lk-060" },
  { ids: "LKP-02", cases: "lk-070 lk-073 lk-075" },
  { ids: "LKP-02 LKP-15", cases: "lk-074" },
  { ids: "AGE-04", cases: "lk-076" },
  { ids: "LKP-19 LKP-20", cases: "lk-079 lk-080" },
  { ids: "LKP-21", cases: "lk-082 lk-083 lk-091" },
  { ids: "LKP-19", cases: "lk-084 lk-089 lk-090" },
  { ids: "LPX-11 LPX-12", cases: "lk-085 lk-086" },
  { ids: "LPX-01", cases: "lk-087 lk-088" },
  { ids: "LKP-16 LKP-19", cases: "lk-093" },
  { ids: "LKP-04", cases: "lk-094 lk-097 lk-098" },
  { ids: "LKP-05", cases: "lk-095 lk-096" },
  { ids: "LKP-37", cases: "lk-099" },
  { ids: "LKP-22", cases: "lk-100 lk-101 lk-102 lk-103" },
  { ids: "LPX-06", cases: "lk-107 lk-109" },
  { ids: "PRV-03", cases: "lk-112" },
  { ids: "PRV-03 LPX-02", cases: "lk-113" },
  { ids: "LPX-09", cases: "lk-115 lk-117 lk-119 lk-120" },
  { ids: "LPX-05 LKP-26 LKP-27", cases: "pg-05 pg-07" },
  { ids: "LKP-25", cases: "pc-15" },
  { ids: "LKP-28", cases: "pe-09 pe-10 pe-11 pe-12 pe-13 pe-14" },
] as const;

function requirementsOf(name: string): string {
  const row = REQUIREMENTS.find(({ cases }) => cases.split(" ").includes(name));
  if (row === undefined) throw new Error(`no requirement for ${name}`);
  return row.ids;
}

function cases(kind: VectorCase["kind"]): (VectorCase & { ids: string })[] {
  return vectors.cases.filter((one) => one.kind === kind).map((one) => ({ ...one, ids: requirementsOf(one.name) }));
}

const START_MS = 100_000_000;

function load(directory: Directory, source: string, authority: string | null, rd: string): void {
  directory.openSource(source, { authority });
  directory.setConnected(source, true, START_MS);
  for (const one of vectors.registrations.filter((registration) => registration.rd === rd)) {
    const parsed = parseLinkFormat(one.payload);
    if (!parsed.ok) throw new Error(parsed.error.message);
    const renewedAtMs = START_MS - one.lt_age * 1000;
    directory.put(
      source,
      {
        href: one.href,
        ep: one.ep,
        ...(one.d === null ? {} : { d: one.d }),
        base: one.base,
        attributes: [...one.et.map((type): Attribute => ["et", type]), ...one.extra],
        links: parsed.links.map((link) => resolveLink(one.base, link)),
        ltMs: one.lt * 1000,
        renewedAtMs,
        expiresAtMs: renewedAtMs + one.lt * 1000,
        expiry: "exact",
      },
      START_MS,
    );
  }
}

function directoryAt(at: string): Directory {
  const directory = createDirectory();
  if (at === "LP") for (const [name, authority] of Object.entries(vectors.rds)) load(directory, name, authority, name);
  else load(directory, "local", null, at);
  return directory;
}

function canonical(links: readonly (Link | VectorLink)[], base: string): string[] {
  return links
    .map((link) => {
      const target = link.target.startsWith("/") ? base + link.target : link.target;
      const attributes = ("attrs" in link ? link.attrs : link.attributes).map(([name, value]) =>
        JSON.stringify([name, name === "provenance" && value?.startsWith("/") ? base + value : value]),
      );
      return JSON.stringify([target, attributes.sort()]);
    })
    .sort();
}

function run(one: VectorCase, items: string[]): Link[] {
  const directory = directoryAt(one.at);
  for (const name of one.state?.unreachable ?? []) directory.setConnected(name, false, START_MS);
  const parsed = parseLookupQuery(items);
  if (!parsed.ok) throw new Error(parsed.message);
  return [...directory.lookup(one.interface, parsed.query, START_MS + (one.state?.elapsed ?? 0) * 1000)];
}

describe("RFC 9176 section 6, lookup vectors", () => {
  const base = (one: VectorCase) => vectors.rds[one.at] ?? "";

  test.each(cases("set"))("$ids $name $why", (one) => {
    expect(canonical(run(one, one.query), base(one))).toEqual(canonical(one.expect ?? [], base(one)));
  });

  test.each(cases("pages"))("$ids $name $why", (one) => {
    const pages = Array.from({ length: one.pages ?? 0 }, (_, page) =>
      run(one, [...one.query, `page=${page}`, `count=${one.count}`]),
    );
    expect(pages.map((page) => page.length)).toEqual(one.page_sizes);
    expect(canonical(pages.flat(), base(one))).toEqual(canonical(one.union ?? [], base(one)));
  });

  test.each(cases("limit"))("$ids $name $why", (one) => {
    const links = canonical(run(one, one.query), base(one));
    expect(links).toHaveLength(one.expect_size ?? -1);
    const all = canonical(one.subset_of ?? [], base(one));
    for (const link of links) expect(all).toContain(link);
  });

  test.each(cases("error"))("$ids $name $why", (one) => {
    expect(parseLookupQuery(one.query).ok).toBe(false);
  });

  test("every vector is run", () => {
    const run = (["set", "pages", "limit", "error"] as const).flatMap(cases);
    expect(run).toHaveLength(vectors.cases.length);
  });
});
