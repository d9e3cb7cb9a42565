import { readFileSync } from "node:fs";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { resolveReference } from "@tributary/link-model";
import { codeOf, serveDirectory } from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";

interface VectorCase {
  name: string;
  kind: "set" | "pages" | "limit" | "error";
  at: string;
  interface: "ep" | "res";
  query: string[];
  expect?: { target: string; attrs: [string, string | null][] }[];
  also_acceptable?: { target: string; attrs: [string, string | null][] }[][];
  expect_code?: string;
  expect_size?: number;
  why: string;
}
interface VectorRegistration {
  rd: string;
  ep: string;
  d: string | null;
  et: string[];
  lt: number;
  base: string;
  href: string;
  extra: [string, string][];
  payload: string;
}
const vectors = JSON.parse(
  readFileSync(new URL("../../../test/conformance/lookup-vectors.json", import.meta.url), "utf8"),
) as { rds: Record<string, string>; registrations: VectorRegistration[]; cases: VectorCase[] };

describe("conformance vectors of a single RD", () => {
  /** An RD with the registrations of `rd`, and the texts of their hrefs replaced by the locations given out. */
  function load(rd: string) {
    const served = serveDirectory(createVirtualWorld());
    const locations = new Map<string, string>();
    for (const one of vectors.registrations.filter((registration) => registration.rd === rd)) {
      const extras = [...one.et.map((et) => `et=${et}`), ...one.extra.map(([name, value]) => `${name}=${value}`)];
      const items = [
        `ep=${one.ep}`,
        ...(one.d === null ? [] : [`d=${one.d}`]),
        `lt=${one.lt}`,
        `base=${one.base}`,
        ...extras,
      ];
      locations.set(one.href, served.register(items.join("&"), one.payload));
    }
    const actual = (text: string) =>
      [...locations].reduce((result, [href, location]) => result.replaceAll(href, location), text);
    return { ...served, actual };
  }

  const sorted = (links: readonly { target: string; attrs: readonly (readonly [string, string | null])[] }[]) =>
    links
      .map(({ target, attrs }) => JSON.stringify([target, [...attrs].map((attr) => JSON.stringify(attr)).sort()]))
      .sort();

  const own = vectors.cases.filter(({ at }) => at !== "LP");
  test.each(own)(
    "LKP-09 LKP-10 LKP-11 LKP-12 LKP-13 LKP-14 LKP-15 LKP-16 LKP-17 LKP-18 LKP-19 LKP-22 LKP-23 $name: $why",
    (one) => {
      const { ask, actual, lookup } = load(one.at);
      const query = one.query.map(actual).join("&");
      if (one.kind === "error") {
        expect(codeOf(ask("GET", `/rd-lookup/${one.interface}?${query}`))).toBe(one.expect_code);
        return;
      }
      const links = lookup(one.interface, query);
      if (one.kind === "limit") {
        expect(links).toHaveLength(one.expect_size as number);
        return;
      }
      const authority = vectors.rds[one.at] as string;
      const got = sorted(
        links.map(({ target, attributes }) => ({
          target: one.interface === "ep" ? resolveReference(authority, target) : target,
          attrs: attributes.map(
            ([name, value]) =>
              [name, name === "provenance" ? resolveReference(authority, value ?? "") : value] as const,
          ),
        })),
      );
      const wanted = [one.expect ?? [], ...(one.also_acceptable ?? [])].map((set) =>
        JSON.stringify(sorted(JSON.parse(actual(JSON.stringify(set))))),
      );
      expect(wanted).toContain(JSON.stringify(got));
    },
  );
});
