import {
  CODE,
  CONTENT_FORMAT,
  createCoapEndpoint,
  type Observer,
  type ServerResponse,
} from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { DEFAULTS, follow } from "../testing/following.js";
import type { AskedResult, UnchangedResult } from "../types.js";

const ADDRESS = "2001:db8::f";
const CORE = '</ep>;rt="core.rd-lookup-ep",</res>;rt="core.rd-lookup-res",</rd>;rt="core.rd"';
const encode = (text: string) => new TextEncoder().encode(text);

/** An RD with one endpoint lookup that has a version, an ETag and observers, as RFC 7252 and RFC 7641 say. */
async function setUp({ isObservable = true } = {}) {
  const world = createVirtualWorld();
  const rd = {
    more: "",
    version: 1,
    maxAgeS: 90,
    code: CODE.CONTENT as number,
    gotEtags: [] as number[][],
    gotQueries: [] as string[],
    observers: 0,
  };
  const observers = new Set<Observer>();
  const document = (etags: readonly Uint8Array[]): ServerResponse => {
    if (rd.code !== CODE.CONTENT) return { code: rd.code };
    const etag = Uint8Array.of(rd.version);
    if (etags.some(([first]) => first === rd.version)) return { code: CODE.VALID, etag, maxAgeS: rd.maxAgeS };
    const payload = encode(`</reg/${rd.version}>;ep="n1";base="coap://n1.example"${rd.more}`);
    return { code: CODE.CONTENT, etag, contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload, maxAgeS: rd.maxAgeS };
  };
  createCoapEndpoint(
    { socket: world.network.open(ADDRESS, 5683), env: world.env },
    {
      handler: (request) => {
        if (request.path.join("/") === ".well-known/core")
          return { code: CODE.CONTENT, contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: encode(CORE) };
        rd.gotEtags.push(request.etags.map(([first]) => first as number));
        rd.gotQueries.push(request.query.join("&"));
        const answer = document(request.etags);
        if (request.observe !== 0 || !isObservable || rd.code !== CODE.CONTENT) return answer;
        const attach = (observer: Observer) => {
          observers.add(observer);
          rd.observers = observers.size;
          let notified = rd.version;
          return {
            next: () => {
              if (notified === rd.version) return null;
              notified = rd.version;
              return document([]);
            },
            closed: () => {
              observers.delete(observer);
              rd.observers = observers.size;
            },
          };
        };
        return { ...answer, observation: { attach } };
      },
    },
  );
  const lp = follow(world, { uri: `coap://[${ADDRESS}]`, mode: "forward" });
  await lp.untilLive();
  rd.gotEtags.length = 0;
  const change = async () => {
    rd.version++;
    for (const observer of observers) observer.wake();
    await world.clock.advance(1000);
  };
  return { ...lp, world, rd, change };
}

/** A request in virtual time. */
async function settled<T>(clock: { advance(ms: number): Promise<void> }, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await clock.advance(3 * DEFAULTS.timeoutMs);
  return promise;
}

describe("forwarded lookups", () => {
  test("LPX-01 an answer has its Max-Age, its ETag, its size, and references that keep their meaning", async () => {
    const { upstream, world } = await setUp();
    const answer = await settled(world.clock, upstream.ask("ep", ["ep=n1"], {}));
    expect(answer).toMatchObject({ received: 1, maxAgeS: 90, etag: Uint8Array.of(1), bytes: 41 });
    expect((answer as AskedResult).links.map(({ target }) => target)).toEqual([`coap://[${ADDRESS}]/reg/1`]);
  });

  test.each([
    { kind: "ep", items: [`href=coap://[${ADDRESS}]/reg/1`, "rt=a"], want: "href=/reg/1&rt=a" },
    { kind: "ep", items: [`provenance=coap://[${ADDRESS}]/*`], want: "provenance=/*" },
    { kind: "res", items: [`provenance=coap://[${ADDRESS}]/reg/1`], want: "provenance=/reg/1" },
    // Here it may be a target as well.
    { kind: "res", items: [`href=coap://[${ADDRESS}]/t`], want: `href=coap://[${ADDRESS}]/t` },
    { kind: "ep", items: ["href=coap://elsewhere/reg/1"], want: "href=coap://elsewhere/reg/1" },
    { kind: "ep", items: [`base=coap://[${ADDRESS}]/`], want: `base=coap://[${ADDRESS}]/` },
  ] as const)(
    "LPX-01 a registration that is named as it is shown here is asked for as $want",
    async ({ kind, items, want }) => {
      const { upstream, world, rd } = await setUp();
      rd.gotQueries.length = 0;
      await settled(world.clock, upstream.ask(kind, items, {}));
      expect(rd.gotQueries).toEqual([want]);
    },
  );

  test("what is held is named by its ETag, and confirmed without being sent again", async () => {
    const { upstream, world, rd } = await setUp();
    rd.maxAgeS = 20;
    const held = { etag: Uint8Array.of(1) };
    expect(await settled(world.clock, upstream.ask("ep", [], held))).toEqual({ isUnchanged: true, maxAgeS: 20 });
    rd.version = 2;
    expect(await settled(world.clock, upstream.ask("ep", [], held))).toMatchObject({ etag: Uint8Array.of(2) });
    expect(rd.gotEtags).toEqual([[1], [1]]);
  });

  test("what of an answer cannot be taken is counted until an answer is whole again", async () => {
    const { upstream, world, rd } = await setUp();
    const ask = (...items: string[]) => settled(world.clock, upstream.ask("ep", items, {}));
    rd.more = ',</reg/8>;base="coap://b.example",<a b>,<coap://other.example/reg/1>;ep="c"';
    const answer = (await ask()) as AskedResult;
    expect(answer.links.map(({ target }) => target)).toEqual([`coap://[${ADDRESS}]/reg/1`]);
    expect([...answer.losses.keys()].sort()).toEqual(["malformed", "no-name", "other-authority"]);
    const want = { malformed: 1, "no-name": 1, "other-authority": 1 };
    expect(Object.fromEntries(upstream.status().leftOut)).toEqual(want);
    rd.more = "";
    await ask("d=f1");
    expect(Object.fromEntries(upstream.status().leftOut)).toEqual(want);
    await ask();
    expect(upstream.status().leftOut.size).toBe(0);
  });

  test.each([
    { kind: "ep", name: "attributes", more: `</r>;ep="x";base="coap://x"${";a".repeat(65)}` },
    { kind: "ep", name: "a name", more: `</r>;ep="${"x".repeat(260)}";base="coap://x"` },
    { kind: "ep", name: "a resource", more: `</${"r".repeat(1100)}>;ep="x";base="coap://x"` },
    { kind: "res", name: "bytes of a link", more: `<coap://x/t>;title="${"x".repeat(66_000)}"` },
  ] as const)("limits of registrations hold for what is asked for as well: $name", async ({ kind, more }) => {
    const { upstream, world, rd } = await setUp();
    rd.more = `,${more},<coap://last.example/>;ep="last";base="coap://last.example";anchor="coap://last.example"`;
    const answer = (await settled(world.clock, upstream.ask(kind, [], {}))) as AskedResult;
    expect(answer.received).toBe(3);
    expect(answer.losses.get("beyond-limits")?.count).toBe(1);
    expect(answer.links.some(({ attributes }) => JSON.stringify(attributes).includes("x".repeat(260)))).toBe(false);
    expect(upstream.status().leftOut.get("beyond-limits")).toBe(1);
    rd.more = "";
    await settled(world.clock, upstream.ask(kind, [], {}));
    expect(upstream.status().leftOut.size).toBe(0);
  });

  test("2.03 to a request that named nothing is no answer", async () => {
    const { upstream, world, rd } = await setUp();
    rd.code = CODE.VALID;
    await expect(settled(world.clock, upstream.ask("ep", [], {}))).rejects.toMatchObject({
      code: "UPSTREAM_REFUSED",
    });
  });

  test("one that does not answer is looked for again, in mode forward", async () => {
    const { upstream, world, until } = await setUp();
    world.network.partition([ADDRESS], ["2001:db8::1"]);
    await expect(settled(world.clock, upstream.ask("ep", [], {}))).rejects.toMatchObject({
      code: "UPSTREAM_TIMEOUT",
    });
    expect(upstream.status().phase).not.toBe("live");
    world.network.heal();
    await until(() => upstream.status().phase === "live");
  });

  test("a lookup that its asker gave up at once says nothing of the upstream", async () => {
    const { upstream, world } = await setUp();
    const abort = new AbortController();
    const answer = upstream.ask("ep", [], { signal: abort.signal });
    abort.abort();
    await expect(settled(world.clock, answer)).rejects.toThrow();
    expect(upstream.status().phase).toBe("live");
  });
});

describe("observed lookups", () => {
  function listen() {
    const results: (AskedResult | UnchangedResult)[] = [];
    const ends: string[] = [];
    return {
      results,
      ends,
      listener: {
        onResult: (answer: AskedResult | UnchangedResult) => void results.push(answer),
        onEnd: (error: { code: string }) => void ends.push(error.code),
      },
    };
  }
  const targets = (results: readonly (AskedResult | UnchangedResult)[]) =>
    results.map((answer) => ("links" in answer ? answer.links[0]?.target.replace(/.*\//, "") : "unchanged"));

  test("the result and each change reach the listener, until it is closed", async () => {
    const { upstream, world, rd, change } = await setUp();
    const { results, ends, listener } = listen();
    const observation = upstream.observe("ep", ["ep=n1"], listener, { etag: Uint8Array.of(1) });
    await world.clock.advance(1000);
    await change();
    expect(targets(results)).toEqual(["unchanged", "2"]);
    observation.close();
    await world.clock.advance(1000);
    await change();
    expect(targets(results)).toEqual(["unchanged", "2"]);
    expect(ends).toEqual([]);
    expect(rd.observers).toBe(0);
  });

  test("asked again, it names what is held by then", async () => {
    const { upstream, world, rd, change } = await setUp();
    const { results, listener } = listen();
    const observation = upstream.observe("ep", [], listener);
    await world.clock.advance(1000);
    await change();
    observation.refresh(Uint8Array.of(2));
    await world.clock.advance(1000);
    expect(targets(results)).toEqual(["1", "2", "unchanged"]);
    expect(rd.gotEtags).toEqual([[], [2]]);
    observation.close();
  });

  test("an RD that does not observe answers, and ends it", async () => {
    const { upstream, world } = await setUp({ isObservable: false });
    const { results, ends, listener } = listen();
    upstream.observe("ep", [], listener);
    await world.clock.advance(1000);
    expect(targets(results)).toEqual(["1"]);
    expect(ends).toEqual(["UPSTREAM_REFUSED"]);
  });

  test("an RD that does not answer ends it once", async () => {
    const { upstream, world } = await setUp();
    const { results, ends, listener } = listen();
    world.network.partition([ADDRESS], ["2001:db8::1"]);
    upstream.observe("ep", [], listener);
    await world.clock.advance(200_000);
    expect({ results, ends }).toEqual({ results: [], ends: ["UPSTREAM_TIMEOUT"] });
  });

  test("it ends with the upstream", async () => {
    const { upstream, world, rd } = await setUp();
    const { listener } = listen();
    upstream.observe("ep", [], listener);
    await world.clock.advance(1000);
    expect(rd.observers).toBe(1);
    await settled(world.clock, upstream.close());
    await world.clock.advance(5000);
    expect(rd.observers).toBe(0);
    expect(() => upstream.observe("ep", [], listener)).toThrow("not followed any more");
  });
});
