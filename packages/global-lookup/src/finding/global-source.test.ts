import { parseLookupQuery } from "@tributary/link-model";
import type { LookupContext, LookupResult, LookupScope } from "@tributary/lookup-interface";
import { describe, expect, test } from "vitest";
import { createGlobalSource } from "./global-source.js";
import type { FoundName } from "./name-finder.js";

const REMOTE = {
  target: "coap://192.0.2.1/reg/1",
  attributes: [
    ["ep", "far"],
    ["base", "coap://192.0.2.1:10123"],
    ["et", "x"],
  ],
} as const;

async function look(
  query: string,
  {
    kind = "ep" as "ep" | "res",
    scope = "everywhere" as LookupScope,
    needsName = true,
    found = undefined as FoundName | undefined,
  } = {},
) {
  const searched: string[] = [];
  const source = createGlobalSource(
    {
      local: () => ({ links: query.includes("upstream") ? [REMOTE] : [], origin: "local", isCacheable: true }),
      isLocal: (name) => name === "here",
      find: async (name) => {
        searched.push(name);
        return found ?? { kind: "found", links: [REMOTE], maxAgeS: 42, isCached: false };
      },
    },
    { needsName },
  );
  const items = query.split("&");
  const parsed = parseLookupQuery(items);
  if (!parsed.ok) throw new Error(parsed.message);
  const result = await source({
    kind,
    scope,
    query: parsed.query,
    items,
    request: { peer: { address: "192.0.2.9" } },
  } as unknown as LookupContext);
  return { searched, result, links: "links" in result ? [...(result as LookupResult).links].length : result.code };
}

describe("lookups at a node in a pool", () => {
  test.each([
    { name: "a name that is not here", query: "ep=far", searched: ["far"], links: 1 },
    { name: "a name that is here", query: "ep=here", searched: [], links: 0 },
    { name: "a name that an upstream has", query: "ep=upstream", searched: [], links: 1 },
    { name: "further criteria that are met", query: "ep=far&et=x", searched: ["far"], links: 1 },
    { name: "further criteria that are not met", query: "ep=far&et=y", searched: ["far"], links: 0 },
    { name: "the second page", query: "ep=far&page=1&count=1", searched: ["far"], links: 0 },
    { name: "no name", query: "et=x", searched: [], links: 128 },
    { name: "nothing", query: "", searched: [], links: 128 },
    { name: "the beginning of a name", query: "ep=fa*", searched: [], links: 128 },
    { name: "two names", query: "ep=far&ep=near", searched: [], links: 128 },
    { name: "an empty name", query: "ep=", searched: [], links: 128 },
  ])("$name", async ({ query, searched, links }) => {
    const looked = await look(query);
    expect([looked.searched, looked.links]).toEqual([searched, links]);
  });

  test("a lookup of what is registered here never searches the pool, and needs no name", async () => {
    expect(await look("ep=far", { scope: "here" })).toMatchObject({ searched: [], links: 0 });
    expect(await look("", { scope: "here" })).toMatchObject({ searched: [], links: 0 });
  });

  test("resources are looked up here only", async () => {
    expect(await look("ep=far", { kind: "res" })).toMatchObject({ searched: [], links: 0 });
    expect(await look("rt=x", { kind: "res" })).toMatchObject({ links: 128 });
  });

  test("a lookup proxy in a pool answers lookups without a name as ever", async () => {
    expect(await look("et=x", { needsName: false })).toMatchObject({ searched: [], links: 0 });
  });

  test.each([
    { found: { kind: "none", maxAgeS: 5 } as const, want: 0 },
    { found: { kind: "failed", reason: "away" } as const, want: 164 },
    { found: { kind: "busy" } as const, want: 163 },
    { found: { kind: "limited" } as const, want: 157 },
  ])("$found.kind", async ({ found, want }) => {
    expect((await look("ep=far", { found })).links).toBe(want);
  });

  test("what was found is not remembered for longer than the RD says", async () => {
    expect((await look("ep=far")).result).toMatchObject({ maxAgeS: 42, origin: "forwarded" });
    expect((await look("ep=far")).result).not.toHaveProperty("isCacheable");
  });
});
