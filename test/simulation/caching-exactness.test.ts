import { CODE, CONTENT_FORMAT, METHOD } from "@tributary/coap-transport";
import { parseLinkFormat, serialiseLink } from "@tributary/link-model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Federation } from "./federation.ts";
import type { NodePlan } from "./scenario.ts";

const RD: NodePlan = {
  name: "rd-1",
  address: "2001:db8:1::1",
  isRd: true,
  upstreams: null,
  mode: "replicate",
  clientPort: 0,
  hasDisk: false,
};
const LP: NodePlan = { ...RD, name: "lp-1", address: "2001:db8:2::1", isRd: false, upstreams: ["rd-1"], mode: "auto" };

/** An RD and a proxy before it that decides by itself what to replicate. */
class Pair {
  readonly federation: Federation;
  readonly errors: string[] = [];

  constructor(seed: number) {
    this.federation = new Federation(
      { seed, nodes: [RD, LP], scheme: "coap" },
      { note() {}, violation: (text) => this.errors.push(text) },
    );
  }

  async start(): Promise<void> {
    for (const name of ["rd-1", "lp-1"]) await this.federation.settled(this.federation.start(name));
    await this.advance(5_000);
    // A copy takes longer than a lookup, so that some are asked while it is under way.
    const { network } = this.federation.world;
    network.setLink(RD.address, LP.address, { delayMs: 50 });
    network.setLink(LP.address, RD.address, { delayMs: 50 });
  }

  async advance(ms: number): Promise<void> {
    await this.federation.world.clock.advance(ms);
  }

  async register(query: readonly string[], links: string): Promise<string> {
    const { code, locationPath } = await this.#request(METHOD.POST, "rd-1", "rd", query, links);
    if (code !== CODE.CREATED) throw new Error(`refused with ${code}`);
    return locationPath.join("/");
  }

  async remove(path: string): Promise<void> {
    await this.#request(METHOD.DELETE, "rd-1", path, []);
  }

  /** Links of a lookup, sorted; those of the RD as its proxy has to show them (draft 4.2). */
  async lookup(node: "rd-1" | "lp-1", kind: "ep" | "res", query: readonly string[]): Promise<string[]> {
    const { code, payload } = await this.#request(METHOD.GET, node, `rd-lookup/${kind}`, query);
    if (code !== CODE.CONTENT) return [`code ${code}`];
    const parsed = parseLinkFormat(payload);
    if (!parsed.ok) return [parsed.error.message];
    const origin = this.federation.originOf("rd-1");
    const absolute = (reference: string) => (reference.startsWith("/") ? `${origin}${reference}` : reference);
    return parsed.links
      .map(({ target, attributes }) =>
        serialiseLink({
          target: absolute(target),
          attributes: attributes.map(([name, value]) => [
            name,
            name === "provenance" && value !== null ? absolute(value) : value,
          ]),
        }),
      )
      .sort();
  }

  families(): readonly { readonly isComplete: boolean }[] {
    return this.federation.node("lp-1")?.upstreams()[0]?.families ?? [];
  }

  async close(): Promise<void> {
    await this.federation.settled(this.federation.close());
  }

  #request(method: number, node: string, path: string, query: readonly string[], payload = "") {
    const uri = `${this.federation.originOf(node)}/${path}`;
    const body = { contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: new TextEncoder().encode(payload) };
    return this.federation.settled(
      this.federation.probe.request(
        { method, uri, query, ...(method === METHOD.POST ? body : {}) },
        { timeoutMs: 90_000 },
      ),
    );
  }
}

/** Few words, so that they meet: the same names for attributes of endpoints and of links (draft 4.3.1). */
const title = fc.constantFrom("title=a", "title=b", "title=ab");
const rt = fc.constantFrom("rt=core.s", "rt=ex.t", "rt=x");
const building = fc.constantFrom("ex.building=1", "ex.building=2");
const attributesOfEndpoint = fc.tuple(
  fc.option(title),
  fc.option(building),
  fc.option(fc.constantFrom("et=oic.d", "et=x")),
);
const link = fc
  .tuple(fc.constantFrom("/s", "/t", "coap://else.example/u"), fc.option(rt), fc.option(title), fc.option(building))
  .map(
    ([target, ...attributes]) =>
      `<${target}>${attributes
        .filter((one) => one !== null)
        .map((one) => `;${quoted(one)}`)
        .join("")}`,
  );
const quoted = (attribute: string) => attribute.replace(/=(.*)/, '="$1"');
const registration = fc.record({
  ep: fc.constantFrom("n1", "n2", "n3", "n4"),
  d: fc.option(fc.constantFrom("f1", "f2")),
  attributes: attributesOfEndpoint,
  links: fc.array(link, { maxLength: 3 }).map((links) => links.join(",")),
});
const criterion = fc.oneof(
  title,
  rt,
  building,
  fc.constantFrom(
    "title=a*",
    "rt=core*",
    "ep=n1",
    "ep=n*",
    "ep=n2",
    "d=f1",
    "d=f2",
    "et=x",
    "et=oic.d",
    "rt=core.rd-ep",
  ),
  fc.constantFrom("base=coap://n1.example", "href=coap://else.example/u", "anchor=coap://n1.example"),
);
const question = fc.record({
  kind: fc.constantFrom("ep" as const, "res" as const),
  criteria: fc.array(criterion, { maxLength: 3 }),
  isProvenanceShown: fc.boolean(),
});
const step = fc.oneof(
  { weight: 2, arbitrary: registration.map((one) => ({ kind: "register" as const, ...one })) },
  { weight: 1, arbitrary: fc.nat(20).map((index) => ({ kind: "remove" as const, index })) },
  { weight: 1, arbitrary: fc.constantFrom(1_000, 20_000, 70_000).map((ms) => ({ kind: "pass" as const, ms })) },
  {
    weight: 12,
    arbitrary: fc.array(question, { minLength: 1, maxLength: 6 }).map((all) => ({ kind: "ask" as const, all })),
  },
);

describe("draft 4.3.1, a proxy that filters by itself", () => {
  test("LPX-16 CAC-05 answers every query as the RD would, whatever it has decided to replicate", {
    timeout: 180_000,
  }, async () => {
    let answers = 0;
    let local = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40 }), fc.nat(), async (steps, seed) => {
        const pair = new Pair(seed);
        const paths: string[] = [];
        try {
          await pair.start();
          for (const one of steps) {
            if (one.kind === "register") {
              const { ep, d, attributes, links } = one;
              const query = [`ep=${ep}`, `base=coap://${ep}.example`, ...(d === null ? [] : [`d=${d}`])];
              paths.push(await pair.register([...query, ...attributes.filter((a) => a !== null)], links));
              await pair.advance(1_000);
            } else if (one.kind === "remove") {
              const path = paths[one.index % Math.max(1, paths.length)];
              if (path !== undefined) await pair.remove(path);
              await pair.advance(1_000);
            } else if (one.kind === "pass") await pair.advance(one.ms);
            else {
              for (const { kind, criteria, isProvenanceShown } of one.all) {
                const query = [...criteria, ...(isProvenanceShown ? ["provenance"] : [])];
                const expected = await pair.lookup("rd-1", kind, query);
                const answer = await pair.lookup("lp-1", kind, query);
                expect({ kind, query, answer }).toEqual({ kind, query, answer: expected });
                answers++;
                if (pair.families().some(({ isComplete }) => isComplete)) local++;
              }
            }
          }
          expect(pair.errors).toEqual([]);
        } finally {
          await pair.close();
        }
      }),
      { numRuns: 150 },
    );
    expect(local, "families came into being").toBeGreaterThan(answers / 10);
  });
});
