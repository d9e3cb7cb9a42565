import { readFileSync } from "node:fs";
import { type Attribute, type Link, parseLinkFormat, parseLookupQuery, resolveLink } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { createDirectory } from "./directory.js";
import type { Directory, LookupInterface } from "./types.js";

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
  readFileSync(new URL("../../../test/conformance/lookup-vectors.json", import.meta.url), "utf8"),
) as {
  rds: Record<string, string>;
  registrations: VectorRegistration[];
  cases: VectorCase[];
};

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

  test.each(vectors.cases.filter(({ kind }) => kind === "set"))("$name $why", (one) => {
    expect(canonical(run(one, one.query), base(one))).toEqual(canonical(one.expect ?? [], base(one)));
  });

  test.each(vectors.cases.filter(({ kind }) => kind === "pages"))("LKP-26 LKP-27 $name $why", (one) => {
    const pages = Array.from({ length: one.pages ?? 0 }, (_, page) =>
      run(one, [...one.query, `page=${page}`, `count=${one.count}`]),
    );
    expect(pages.map((page) => page.length)).toEqual(one.page_sizes);
    expect(canonical(pages.flat(), base(one))).toEqual(canonical(one.union ?? [], base(one)));
  });

  test.each(vectors.cases.filter(({ kind }) => kind === "limit"))("LKP-25 $name $why", (one) => {
    const links = canonical(run(one, one.query), base(one));
    expect(links).toHaveLength(one.expect_size ?? -1);
    const all = canonical(one.subset_of ?? [], base(one));
    for (const link of links) expect(all).toContain(link);
  });

  test.each(vectors.cases.filter(({ kind }) => kind === "error"))("LKP-28 $name $why", (one) => {
    expect(parseLookupQuery(one.query).ok).toBe(false);
  });

  test("every vector is run", () => expect(vectors.cases).toHaveLength(92));
});
