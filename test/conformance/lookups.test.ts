import { readFileSync } from "node:fs";
import { formatCode } from "@tributary/coap-transport";
import type { Attribute, Link } from "@tributary/link-model";
import type { Node } from "@tributary/node";
import { describe, expect, test } from "vitest";
import { MovableClock, openNode, openTestClient, type TestClient } from "../harness/nodes.js";
import { eventually } from "../peers/peers.js";

interface VectorRegistration {
  readonly id: string;
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
}

interface VectorCase {
  readonly name: string;
  readonly at: string;
  readonly interface: "ep" | "res";
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
  readonly expect_code?: string;
  readonly state?: { unreachable: string[]; elapsed: number };
}

const vectors = JSON.parse(readFileSync(new URL("lookup-vectors.json", import.meta.url), "utf8")) as {
  rds: Record<string, string>;
  registrations: VectorRegistration[];
  cases: VectorCase[];
};

type OpenNode = Node & { readonly uri: string };

/** Three RDs on real sockets with registrations of the ages that the vectors give, and an LP over them. */
class Federation {
  readonly #scheme: "coap" | "coap+tcp";
  readonly clock = new MovableClock();
  readonly rds = new Map<string, OpenNode>();
  /** Real URIs and paths by those of the vectors. */
  readonly real = new Map<string, string>();
  client!: TestClient;
  lp!: OpenNode;

  constructor(scheme: "coap" | "coap+tcp") {
    this.#scheme = scheme;
  }

  async open(): Promise<void> {
    this.client = await openTestClient();
    for (const [name, authority] of Object.entries(vectors.rds)) {
      const rd = await openNode("registration: {}", this.clock, this.#scheme);
      this.rds.set(name, rd);
      this.real.set(authority, rd.uri);
    }
    await this.#register();
    const upstreams = [...this.rds].map(([name, { uri }]) => `    - { name: ${name}, uri: "${uri}" }`);
    this.lp = await openNode(`lookup:\n  upstreams:\n${upstreams.join("\n")}`, this.clock, this.#scheme);
    await eventually(() => this.lp.upstreams().every(({ phase }) => phase === "live"), {
      what: "the proxy to be complete",
    });
  }

  /** Oldest first; the clock moves ahead in between, so that in the end each has its age. */
  async #register(): Promise<void> {
    let age = Number.POSITIVE_INFINITY;
    for (const one of [...vectors.registrations].sort((a, b) => b.lt_age - a.lt_age)) {
      if (age !== Number.POSITIVE_INFINITY) this.clock.moveAhead((age - one.lt_age) * 1000);
      age = one.lt_age;
      const query = [`ep=${one.ep}`, ...(one.d === null ? [] : [`d=${one.d}`]), `lt=${one.lt}`, `base=${one.base}`];
      const extra = [
        ...one.et.map((type) => `et=${type}`),
        ...one.extra.map(([name, value]) => (value === null ? name : `${name}=${value}`)),
      ];
      const path = await this.client.register(this.rds.get(one.rd)?.uri as string, [...query, ...extra], one.payload);
      this.real.set(one.href, path);
    }
    this.clock.moveAhead(age * 1000);
  }

  uriOf({ at, interface: kind }: VectorCase): string {
    return `${at === "LP" ? this.lp.uri : this.rds.get(at)?.uri}/rd-lookup/${kind}`;
  }

  /** Replace the vectors' authorities and registration paths by the real ones. */
  translate(text: string): string {
    let result = text;
    for (const [from, to] of this.real)
      if (from.startsWith("/"))
        result = result.replace(new RegExp(`(^|rd-[abc]\\.example)${from}(?![0-9])`), `$1${to}`);
    for (const [from, to] of this.real) if (!from.startsWith("/")) result = result.replace(from, to);
    return result;
  }

  translateQuery(items: readonly string[]): string[] {
    return items.map((item) =>
      /^(href|provenance)=/.test(item)
        ? item.replace(/=(.*)$/s, (_, value: string) => `=${this.translate(value)}`)
        : item,
    );
  }

  canonical(links: readonly (Link | VectorLink)[], one: VectorCase): string[] {
    const isExpected = (link: Link | VectorLink): link is VectorLink => "attrs" in link;
    const base = one.at === "LP" ? "" : (vectors.rds[one.at] ?? "");
    const absolute = (text: string) => (text.startsWith("/") ? this.translate(base) + text : text);
    return links
      .map((link) => {
        // Trap: the resource </reg/a/1> of C4 has a registration's path, but is no registration.
        const isRegistration = one.interface === "ep";
        const target = absolute(isExpected(link) && isRegistration ? this.translate(link.target) : link.target);
        const attributes = (isExpected(link) ? link.attrs : link.attributes).map(([name, value]) => {
          const text =
            name === "provenance" && value !== null
              ? absolute(isExpected(link) ? this.translate(value) : value)
              : value;
          return JSON.stringify([name, text]);
        });
        return JSON.stringify([target, attributes.sort()]);
      })
      .sort();
  }

  async check(one: VectorCase): Promise<void> {
    const uri = this.uriOf(one);
    const query = this.translateQuery(one.query);
    if (one.kind === "error") {
      const response = await this.client.get(uri, query);
      expect(formatCode(response.code)).toBe(one.expect_code);
      expect(response.payload.length, "a diagnostic").toBeGreaterThan(0);
    } else if (one.kind === "set") {
      expect(this.canonical(await this.client.links(uri, query), one)).toEqual(this.canonical(one.expect ?? [], one));
    } else if (one.kind === "limit") {
      const links = this.canonical(await this.client.links(uri, query), one);
      expect(links).toHaveLength(one.expect_size ?? -1);
      const all = this.canonical(one.subset_of ?? [], one);
      for (const link of links) expect(all).toContain(link);
    } else {
      const pages: Link[][] = [];
      for (let page = 0; page < (one.pages ?? 0); page++)
        pages.push(await this.client.links(uri, [...query, `page=${page}`, `count=${one.count}`]));
      expect(pages.map((page) => page.length)).toEqual(one.page_sizes);
      expect(this.canonical(pages.flat(), one)).toEqual(this.canonical(one.union ?? [], one));
    }
  }
}

describe("RFC 9176 section 6 over real sockets", () => {
  test.each(["coap", "coap+tcp"] as const)(
    "LKP-01 LKP-09 LKP-10 LKP-15 LKP-16 LKP-17 LKP-18 LKP-19 LKP-21 LKP-22 LPX-05 LPX-12 every vector, at the RDs and at a proxy over them, by %s",
    async (scheme) => {
      const federation = new Federation(scheme);
      await federation.open();
      const failures: string[] = [];
      const run = async (one: VectorCase) =>
        federation.check(one).catch((error: Error) => failures.push(`${one.name} (${one.why}): ${error.message}`));
      const cases = [...vectors.cases].sort((a, b) => (a.state?.elapsed ?? 0) - (b.state?.elapsed ?? 0));
      let elapsed = 0;
      const unreachable = new Set<string>();
      for (const one of cases) {
        for (const name of one.state?.unreachable ?? []) {
          if (!unreachable.has(name)) await federation.rds.get(name)?.close();
          unreachable.add(name);
        }
        federation.clock.moveAhead(((one.state?.elapsed ?? 0) - elapsed) * 1000);
        elapsed = one.state?.elapsed ?? 0;
        await run(one);
      }
      expect(failures).toEqual([]);
      expect(cases).toHaveLength(92);
    },
  );
});
