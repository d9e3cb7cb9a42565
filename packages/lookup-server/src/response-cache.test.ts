import type { LookupInterface } from "@tributary/merge-engine";
import { silentLogger } from "@tributary/runtime";
import { createVirtualClock } from "@tributary/runtime/testing";
import type {
  AskedListener,
  AskedResult,
  UnchangedResult,
  Upstream,
  UpstreamPlanning,
  UpstreamStatus,
} from "@tributary/upstream-sync";
import { UpstreamError } from "@tributary/upstream-sync";
import { describe, expect, test } from "vitest";
import { ResponseCache, type ResponseCacheOptions } from "./response-cache.js";

const OPTIONS: ResponseCacheOptions = {
  concurrency: 4,
  entries: 100,
  bytes: 1_000_000,
  staleMs: 0,
  observeAfter: 0,
  observations: 4,
};

interface Registration {
  readonly listener: AskedListener;
  /** Entity tag that came along with each registration for it, as a number. */
  readonly etags: (number | undefined)[];
  isClosed: boolean;
}

/** An RD with one resource of one version: what it is asked is written down, and answered as the test says. */
class VersionedUpstream implements Upstream {
  readonly name = "rd-a";
  readonly asked: { readonly items: readonly string[]; readonly etag: number | undefined }[] = [];
  readonly registrations: Registration[] = [];
  version = 1;
  maxAgeS = 60;
  isDown = false;
  hasEtag = true;
  isObservable = true;
  coverage: UpstreamStatus["coverage"] = [];
  /** While set, requests wait for it. */
  gate: Promise<void> | null = null;

  start(): void {}
  onStatus(): () => void {
    return () => {};
  }
  async close(): Promise<void> {}

  status(): UpstreamStatus {
    return { name: this.name, replicates: this.coverage } as UpstreamStatus;
  }
  planning(): UpstreamPlanning {
    return { ...this.status(), countsLookups: false };
  }
  noteLookup(): void {}
  copyUnderWay(): undefined {}

  async ask(
    _kind: LookupInterface,
    items: readonly string[],
    { signal, etag }: { readonly signal?: AbortSignal; readonly etag?: Uint8Array },
  ): Promise<AskedResult | UnchangedResult> {
    this.asked.push({ items, etag: etag?.[0] });
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(new UpstreamError("UPSTREAM_TIMEOUT", "given up")));
    });
    if (this.gate !== null) await Promise.race([this.gate, aborted]);
    if (this.isDown) throw new UpstreamError("UPSTREAM_TIMEOUT", "no response");
    return this.answerTo(etag?.[0]);
  }

  observe(
    _kind: LookupInterface,
    _items: readonly string[],
    listener: AskedListener,
    { etag }: { readonly etag?: Uint8Array } = {},
  ) {
    const registration: Registration = { listener, etags: [], isClosed: false };
    const register = (held?: Uint8Array): void => {
      registration.etags.push(held?.[0]);
      queueMicrotask(() => {
        if (registration.isClosed) return;
        if (this.isDown) return listener.onEnd(new UpstreamError("UPSTREAM_TIMEOUT", "no response"));
        listener.onResult(this.answerTo(held?.[0]));
        if (!this.isObservable) listener.onEnd(new UpstreamError("UPSTREAM_REFUSED", "not-observable"));
      });
    };
    this.registrations.push(registration);
    register(etag);
    return {
      refresh: register,
      close: () => {
        registration.isClosed = true;
      },
    };
  }

  answerTo(held: number | undefined): AskedResult | UnchangedResult {
    if (held === this.version) return { isUnchanged: true, maxAgeS: this.maxAgeS };
    const answer = {
      links: [{ target: `coap://a/${this.version}`, attributes: [] }],
      received: 1,
      maxAgeS: this.maxAgeS,
      bytes: 20,
      losses: new Map(),
    };
    return this.hasEtag ? { ...answer, etag: Uint8Array.of(this.version) } : answer;
  }

  get open(): Registration[] {
    return this.registrations.filter(({ isClosed }) => !isClosed);
  }
}

function setUp(options: Partial<ResponseCacheOptions> = {}) {
  const clock = createVirtualClock();
  const cache = new ResponseCache(
    { env: { clock, random: () => 0.5, logger: silentLogger } },
    { ...OPTIONS, ...options },
  );
  const upstream = new VersionedUpstream();
  const ask = async (items: readonly string[] = [], signal = new AbortController().signal) => {
    const { result, ...rest } = await cache.ask(upstream, "ep", items, signal);
    return { ...rest, target: result.links[0]?.target };
  };
  return { clock, cache, upstream, ask };
}

describe("freshness", () => {
  test("CAC-01 an identical lookup within Max-Age needs no request, and has the rest of it", async () => {
    const { clock, upstream, ask } = setUp();
    expect(await ask(["d=f1"])).toEqual({ target: "coap://a/1", ageS: 0, maxAgeS: 60, origin: "forwarded" });
    upstream.version = 2;
    await clock.advance(40_000);
    expect(await ask(["d=f1"])).toEqual({ target: "coap://a/1", ageS: 40, maxAgeS: 20, origin: "cached" });
    await clock.advance(20_000);
    expect(await ask(["d=f1"])).toMatchObject({ target: "coap://a/2", maxAgeS: 60, origin: "forwarded" });
    expect(upstream.asked).toHaveLength(2);
  });

  test.each([
    { name: "another value", first: ["d=f1"], second: ["d=f2"] },
    { name: "another order", first: ["d=f1", "rt=t"], second: ["rt=t", "d=f1"] },
    { name: "one more item", first: ["d=f1"], second: ["d=f1", "d=f1"] },
    { name: "items that read alike when joined", first: ["d=f1", "rt=t"], second: ["d=f14:rt=t"] },
  ])("CAC-02 $name is asked for on its own", async ({ first, second }) => {
    const { upstream, ask } = setUp();
    await ask(first);
    await ask(second);
    expect(upstream.asked.map(({ items }) => items)).toEqual([first, second]);
  });

  test("a result with Max-Age 0 is not kept fresh", async () => {
    const { upstream, ask } = setUp();
    upstream.maxAgeS = 0;
    await ask();
    await ask();
    expect(upstream.asked).toHaveLength(2);
  });

  test("results of an upstream that is being copied as a whole are not cached", async () => {
    const { upstream, ask } = setUp();
    upstream.coverage = [[]];
    await ask();
    await ask();
    expect(upstream.asked).toHaveLength(2);
  });

  test("another upstream of the same name is asked", async () => {
    const { cache, upstream, ask } = setUp();
    await ask();
    const second = new VersionedUpstream();
    second.version = 7;
    const { result } = await cache.ask(second, "ep", [], new AbortController().signal);
    expect(result.links[0]?.target).toBe("coap://a/7");
    expect(upstream.asked).toHaveLength(1);
  });
});

describe("validation (RFC 7252 section 5.6.2)", () => {
  test("what is past its Max-Age is validated by its ETag, and fresh again on 2.03", async () => {
    const { clock, cache, upstream, ask } = setUp();
    await ask();
    await clock.advance(60_000);
    upstream.maxAgeS = 30;
    expect(await ask()).toEqual({ target: "coap://a/1", ageS: 0, maxAgeS: 30, origin: "forwarded" });
    await clock.advance(29_000);
    expect(await ask()).toMatchObject({ origin: "cached" });
    expect(upstream.asked.map(({ etag }) => etag)).toEqual([undefined, 1]);
    expect(Object.fromEntries(cache.outcomes)).toEqual({ fetched: 1, revalidated: 1, hit: 1 });
  });

  test("another result replaces it", async () => {
    const { clock, upstream, ask } = setUp();
    await ask();
    await clock.advance(60_000);
    upstream.version = 2;
    expect(await ask()).toMatchObject({ target: "coap://a/2" });
  });

  test("an RD without ETags is asked for the whole result", async () => {
    const { clock, upstream, ask } = setUp();
    upstream.hasEtag = false;
    await ask();
    await clock.advance(60_000);
    await ask();
    expect(upstream.asked.map(({ etag }) => etag)).toEqual([undefined, undefined]);
  });
});

describe("an upstream that does not respond", () => {
  test("CAC-04 fails the lookup once Max-Age is over", async () => {
    const { clock, upstream, ask } = setUp();
    await ask();
    upstream.isDown = true;
    await clock.advance(59_000);
    expect(await ask()).toMatchObject({ origin: "cached" });
    await clock.advance(1_000);
    await expect(ask()).rejects.toThrow("no response");
  });

  test("is replaced by its stale result, if configured, for that time and no longer", async () => {
    const { clock, cache, upstream, ask } = setUp({ staleMs: 300_000 });
    await ask();
    upstream.isDown = true;
    await clock.advance(60_000);
    expect(await ask()).toEqual({ target: "coap://a/1", ageS: 60, maxAgeS: 0, origin: "stale" });
    await clock.advance(299_000);
    expect(await ask()).toMatchObject({ origin: "stale" });
    await clock.advance(1_000);
    await expect(ask()).rejects.toThrow("no response");
    expect(Object.fromEntries(cache.outcomes)).toEqual({ fetched: 1, failed: 3, stale: 2 });
  });

  test("is not asked for each lookup that a stale result is enough for, and soon asked again", async () => {
    const { clock, upstream, ask } = setUp({ staleMs: 300_000 });
    await ask();
    upstream.isDown = true;
    await clock.advance(60_000);
    for (let count = 0; count < 20; count++) await ask();
    expect(upstream.asked).toHaveLength(2);
    upstream.isDown = false;
    upstream.version = 2;
    await clock.advance(5_000);
    expect(await ask()).toMatchObject({ target: "coap://a/2", origin: "forwarded" });
  });
});

describe("identical lookups at the same time", () => {
  test.each([
    { name: "with a cache", options: {} },
    { name: "without one", options: { entries: 0 } },
  ])("share one request, $name", async ({ options }) => {
    const { cache, upstream, ask } = setUp(options);
    let open = () => {};
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    const answers = Array.from({ length: 50 }, () => ask(["ep=n1"]));
    open();
    expect(new Set((await Promise.all(answers)).map(({ target }) => target))).toEqual(new Set(["coap://a/1"]));
    expect(upstream.asked).toHaveLength(1);
    expect(cache.outcomes.get("shared")).toBe(49);
    expect(cache.tableSizes()["forwarded-requests"]).toBe(0);
  });

  test("a caller that gives up leaves the request to the others; the last one ends it", async () => {
    const { cache, upstream, ask } = setUp();
    upstream.gate = new Promise(() => {});
    const [first, second] = [new AbortController(), new AbortController()];
    const answers = [ask([], first.signal), ask([], second.signal)].map((one) => one.catch((error: Error) => error));
    first.abort(new Error("first gives up"));
    expect(await answers[0]).toMatchObject({ message: "first gives up" });
    expect(cache.tableSizes()["forwarded-requests"]).toBe(1);
    second.abort(new Error("second gives up"));
    expect(await answers[1]).toMatchObject({ message: "second gives up" });
    upstream.gate = null;
    expect(await ask()).toMatchObject({ target: "coap://a/1" });
    expect(upstream.asked).toHaveLength(2);
    expect(cache.tableSizes()["forwarded-requests"]).toBe(0);
  });
});

describe("what is asked for often is observed (RFC 7641)", () => {
  const observing = { observeAfter: 3, observations: 2 };

  async function askTimes(count: number, ask: () => Promise<unknown>): Promise<void> {
    for (let index = 0; index < count; index++) await ask();
  }

  test("from the next refresh on, which is the registration, with its ETag", async () => {
    const { clock, cache, upstream, ask } = setUp(observing);
    await askTimes(4, ask);
    expect(upstream.registrations).toHaveLength(0);
    await clock.advance(60_000);
    expect(await ask()).toMatchObject({ target: "coap://a/1", maxAgeS: 60 });
    expect(upstream.asked).toHaveLength(1);
    expect(upstream.registrations.map(({ etags }) => etags)).toEqual([[1]]);
    expect(cache.tableSizes()["observed-answers"]).toBe(1);
  });

  async function observed(options: Partial<ResponseCacheOptions> = {}) {
    const all = setUp({ ...observing, ...options });
    await askTimes(4, all.ask);
    await all.clock.advance(60_000);
    await all.ask();
    return { ...all, registration: all.upstream.registrations[0] as Registration };
  }

  test("a change is served at once, without a request", async () => {
    const { cache, upstream, ask, registration } = await observed();
    upstream.version = 2;
    registration.listener.onResult(upstream.answerTo(undefined));
    expect(await ask()).toMatchObject({ target: "coap://a/2", origin: "cached" });
    expect(upstream.asked).toHaveLength(1);
    expect(cache.outcomes.get("notified")).toBe(1);
  });

  test("CAC-06 with a notification lost, the result is stale after its Max-Age, and observed again", async () => {
    const { clock, upstream, ask, registration } = await observed();
    upstream.version = 2;
    await askTimes(4, ask);
    await clock.advance(60_000);
    expect(await ask()).toMatchObject({ target: "coap://a/2", origin: "forwarded" });
    expect(registration.etags).toEqual([1, 1]);
    expect(upstream.registrations).toHaveLength(1);
  });

  test("CAC-06 an observation that the upstream ends is made again when the result is stale", async () => {
    const { clock, cache, upstream, ask, registration } = await observed();
    registration.listener.onEnd(new UpstreamError("UPSTREAM_TIMEOUT", "gone"));
    expect(cache.tableSizes()["observed-answers"]).toBe(0);
    await askTimes(4, ask);
    await clock.advance(60_000);
    await ask();
    expect(upstream.registrations).toHaveLength(2);
    expect(upstream.open).toHaveLength(1);
  });

  test("a refresh without a response fails the lookup and ends the observation", async () => {
    const { clock, cache, upstream, ask } = await observed();
    await askTimes(4, ask);
    upstream.isDown = true;
    await clock.advance(60_000);
    await expect(ask()).rejects.toThrow("no response");
    expect(cache.tableSizes()["observed-answers"]).toBe(0);
  });

  test("an upstream that does not observe costs nothing more than one that is asked", async () => {
    const { clock, cache, upstream, ask } = setUp(observing);
    upstream.isObservable = false;
    for (let minute = 0; minute < 3; minute++) {
      await askTimes(5, ask);
      await clock.advance(60_000);
    }
    expect(upstream.asked.length + upstream.registrations.length).toBe(3);
    expect(cache.tableSizes()["observed-answers"]).toBe(0);
  });

  test("a result that is no longer used is not observed for ever", async () => {
    const { clock, upstream, registration } = await observed();
    await clock.advance(180_000);
    expect(registration.isClosed).toBe(true);
    expect(upstream.open).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  test("the observation used least recently makes room", async () => {
    const { clock, upstream, ask } = setUp(observing);
    const names = ["ep=a", "ep=b", "ep=c"];
    for (const name of names) await askTimes(4, () => ask([name]));
    await clock.advance(60_000);
    for (const name of names) await ask([name]);
    expect(upstream.registrations.map(({ isClosed }) => isClosed)).toEqual([true, false, false]);
  });

  test("closing the cache ends every observation", async () => {
    const { cache, upstream, clock } = await observed();
    cache.close();
    expect(upstream.open).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });
});

describe("bounds", () => {
  test("the least recently used result makes room", async () => {
    const { cache, upstream, ask } = setUp({ entries: 2 });
    for (const name of ["ep=a", "ep=b", "ep=a", "ep=c", "ep=a", "ep=b"]) await ask([name]);
    expect(upstream.asked.map(({ items }) => items[0])).toEqual(["ep=a", "ep=b", "ep=c", "ep=b"]);
    expect(cache.tableSizes()["cached-answers"]).toBe(2);
  });

  test("results take no more memory than allowed", async () => {
    const { cache, ask } = setUp({ entries: 10_000, bytes: 65_536 });
    for (let index = 0; index < 1000; index++) await ask([`ep=n${index}`]);
    const sizes = cache.tableSizes();
    expect(sizes["cached-bytes"]).toBeLessThanOrEqual(65_536);
    expect(sizes["cached-answers"]).toBeGreaterThan(20);
  });

  test("a concurrency of nothing is refused", () => {
    expect(() => setUp({ concurrency: 0 })).toThrow("concurrency must be at least 1");
  });
});
