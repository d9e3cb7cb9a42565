import { type ClientResponse, METHOD } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import type { Registration } from "@tributary/merge-engine";
import { createFeedReader, type FeedKind, formatVersion, versionFromETag } from "@tributary/replication";
import { describe, expect, test } from "vitest";
import { DIRECTORY_ADDRESS } from "../testing/built-request.js";
import { codeOf, openClient, type ServedDirectory, serveDirectory, textOf } from "../testing/served-directory.js";

const FEEDS = { ep: "/rd-lookup/ep?href=/*", res: "/rd-lookup/res?provenance=/*" } as const;

function serve(options = {}) {
  const world = createVirtualWorld();
  return { ...serveDirectory(world, options), world, clock: world.clock };
}

/** A subscriber to both feeds, with the copy that it keeps. */
class Subscriber {
  readonly records = new Map<string, Registration>();
  readonly patches: Record<FeedKind, ClientResponse[]> = { ep: [], res: [] };
  readonly reader = createFeedReader({ assumedLifetimeMs: 90_000_000 });
  readonly world: ReturnType<typeof createVirtualWorld>;
  isComplete = false;

  constructor(world: ReturnType<typeof createVirtualWorld>) {
    this.world = world;
  }

  take(kind: FeedKind, response: ClientResponse): void {
    if (codeOf(response) === "2.03") return;
    expect(codeOf(response)).toBe("2.05");
    expect(response.contentFormat).toBe(51);
    this.patches[kind].push(response);
    const outcome = this.reader.apply(kind, response.payload, this.world.clock.nowMs(), {
      get: (href) => this.records.get(href),
      hrefs: () => this.records.keys(),
    });
    if (outcome.kind !== "applied") throw new Error(JSON.stringify(outcome));
    expect(outcome.problems).toEqual([]);
    this.isComplete = outcome.isComplete;
    for (const change of outcome.changes) {
      if (change.kind === "put") this.records.set(change.registration.href, change.registration);
      else if (change.kind === "remove") this.records.delete(change.href);
      else if (change.kind === "renew") {
        const before = this.records.get(change.href) as Registration;
        this.records.set(change.href, { ...before, renewedAtMs: change.renewedAtMs, expiresAtMs: change.expiresAtMs });
      }
    }
    const version = this.reader.version(kind);
    expect(versionFromETag(response.etag as Uint8Array)).toEqual(version);
  }

  follow(more = ""): void {
    const client = openClient(this.world);
    for (const kind of ["ep", "res"] as const) {
      const [path, query] = `${FEEDS[kind]}${more}`.split("?") as [string, string];
      client.endpoint.observe(
        { method: METHOD.GET, uri: `coap://[${DIRECTORY_ADDRESS}]${path}`, query: query.split("&"), accept: 51 },
        { onNotification: (response) => this.take(kind, response), onEnd: (reason) => expect(reason).toBeUndefined() },
      );
    }
  }

  /** The copy equals what the RD holds. Ages arrive in whole seconds. */
  expectEqual(served: ServedDirectory, except: readonly string[] = []): void {
    const plain = ({ href, ep, d, base, attributes, links, ltMs }: Registration) => ({
      href,
      ep,
      d,
      base,
      attributes: [...attributes].sort(),
      links,
      ltMs,
    });
    const held = [...served.directory.hrefs("local")]
      .filter((href) => !except.includes(href))
      .map((href) => served.directory.get("local", href) as Registration);
    expect([...this.records.values()].map(plain).sort(byHref)).toEqual(held.map(plain).sort(byHref));
    for (const one of held) {
      const copy = this.records.get(one.href) as Registration;
      expect(Math.abs(copy.renewedAtMs - one.renewedAtMs)).toBeLessThanOrEqual(1100);
    }
  }
}

const byHref = (one: { href: string }, other: { href: string }) => (one.href < other.href ? -1 : 1);

describe("design section 3: the replication feed", () => {
  test("two subscribers follow registrations, updates, renewals, removals and expiry", async () => {
    const served = serve();
    const { world, clock, register, ask } = served;
    const early = new Subscriber(world);
    early.follow();
    await clock.advance(100);
    expect(early.isComplete).toBe(true);
    const locations = Array.from({ length: 30 }, (_, at) =>
      register(`ep=e${at}&d=floor${at % 3}&lt=600&et=x&et=y&f`, `</a/${at}>;rt=t;obs,</b>;anchor="/c"`),
    );
    await clock.advance(100);
    early.expectEqual(served);

    const late = new Subscriber(world);
    late.follow();
    await clock.advance(1000);
    late.expectEqual(served);

    ask("POST", `${locations[0]}?lt=300&ex=1`);
    register("ep=e1&d=floor1&lt=600", "</changed>");
    ask("DELETE", locations[2] as string);
    register("ep=short&lt=1");
    await clock.advance(500);
    for (const subscriber of [early, late]) subscriber.expectEqual(served);
    await clock.advance(5000);
    ask("POST", locations[4] as string);
    await clock.advance(500);
    for (const subscriber of [early, late]) subscriber.expectEqual(served);
    expect(early.records.size).toBe(29);
  });

  test("each follower is named once, and whether everything was sent to it", async () => {
    const { world, clock, register, feed } = serve();
    expect(feed?.followers()).toEqual([]);
    for (let at = 0; at < 200; at++) register(`ep=e${at}`);
    const subscribers = [new Subscriber(world), new Subscriber(world)];
    for (const subscriber of subscribers) subscriber.follow();
    await clock.advance(5);
    const followers = feed?.followers() ?? [];
    expect(followers.map(({ transport, isCurrent }) => [transport, isCurrent])).toEqual([
      ["udp", false],
      ["udp", false],
    ]);
    expect(new Set(followers.map(({ address, port }) => `${address} ${port}`)).size).toBe(2);
    await clock.advance(5000);
    expect(subscribers.map(({ isComplete }) => isComplete)).toEqual([true, true]);
    expect(feed?.followers().map(({ isCurrent }) => isCurrent)).toEqual([true, true]);
    feed?.close();
    expect(feed?.followers()).toEqual([]);
  });

  test("every patch over UDP fits one block, a first copy arrives as a series of them", async () => {
    const served = serve();
    for (let at = 0; at < 200; at++)
      served.register(`ep=endpoint-${at}&et=urn:ex:lamp`, "</sensors/temp>;rt=temperature;if=core.s");
    const subscriber = new Subscriber(served.world);
    subscriber.follow();
    await served.clock.advance(10_000);
    subscriber.expectEqual(served);
    expect(subscriber.isComplete).toBe(true);
    expect(subscriber.patches.ep.length).toBeGreaterThan(20);
    for (const { payload } of [...subscriber.patches.ep, ...subscriber.patches.res])
      expect(payload.length).toBeLessThanOrEqual(1024);
    expect(JSON.parse(textOf(subscriber.patches.ep[0] as ClientResponse))[0]).toMatchObject({
      op: "replace",
      path: "",
    });
    expect(JSON.parse(textOf(subscriber.patches.ep[1] as ClientResponse))[0]).toMatchObject({
      op: "test",
      path: "/version",
    });
  });

  test("a registration larger than a block travels alone, by Block2", async () => {
    const served = serve();
    const subscriber = new Subscriber(served.world);
    subscriber.follow();
    served.register("ep=small");
    served.register("ep=large", Array.from({ length: 300 }, (_, at) => `</sensors/${at}>;rt=temperature`).join(","));
    await served.clock.advance(10_000);
    subscriber.expectEqual(served);
  });

  test("a change costs what it is, whatever the size of the directory; a renewal is its age alone", async () => {
    const served = serve();
    const locations = Array.from({ length: 500 }, (_, at) => served.register(`ep=e${at}`, "</a>"));
    const subscriber = new Subscriber(served.world);
    subscriber.follow();
    await served.clock.advance(30_000);
    const before = { ep: subscriber.patches.ep.length, res: subscriber.patches.res.length };
    served.ask("POST", locations[7] as string);
    await served.clock.advance(1000);
    expect(subscriber.patches.ep.length).toBe(before.ep + 1);
    expect(subscriber.patches.res.length).toBe(before.res);
    const operations = JSON.parse(textOf(subscriber.patches.ep.at(-1) as ClientResponse)) as {
      op: string;
      path: string;
    }[];
    expect(operations.map(({ op, path }) => `${op} ${path.split("/").at(-1)}`)).toEqual([
      "test version",
      "replace lt-age",
      "add clock",
      "replace version",
    ]);
  });

  test("changes while a notification is under way go together into the next one", async () => {
    const served = serve();
    const subscriber = new Subscriber(served.world);
    subscriber.follow();
    await served.clock.advance(100);
    const before = subscriber.patches.ep.length;
    served.register("ep=first");
    await served.clock.settle();
    for (let at = 0; at < 4; at++) {
      served.register(`ep=e${at}`);
      await served.clock.settle();
    }
    await served.clock.advance(100);
    expect(subscriber.patches.ep.length).toBe(before + 2);
    subscriber.expectEqual(served);
  });

  test("a narrower feed has what matches its criteria, with all links, and what stops matching", async () => {
    const served = serve();
    const { register, ask, world, clock } = served;
    const inside = register("ep=a&d=here&ex=1", "</x>,</y>");
    register("ep=b&d=there&ex=1", "</x>");
    const subscriber = new Subscriber(world);
    subscriber.follow("&d=here&ex=1");
    await clock.advance(1000);
    expect([...subscriber.records.keys()]).toEqual([inside]);
    expect(subscriber.records.get(inside)?.links).toHaveLength(2);
    ask("POST", `${inside}?ex=2`);
    await clock.advance(1000);
    expect(subscriber.records.size).toBe(0);
  });

  test("link-local registrations are never replicated, and one that becomes link-local leaves", async () => {
    const served = serve();
    const { register, ask, world, clock } = served;
    const linkLocal = { from: { address: "fe80::7", zone: "eth0", port: 5683 } };
    const hidden = register("ep=hidden", "</x>", linkLocal);
    const subscriber = new Subscriber(world);
    subscriber.follow();
    const moving = register("ep=moving", "</x>");
    await clock.advance(1000);
    subscriber.expectEqual(served, [hidden]);
    const version = subscriber.reader.version("ep");
    ask("POST", hidden, linkLocal);
    await clock.advance(1000);
    expect(subscriber.reader.version("ep")).toEqual(version);
    ask("POST", moving, linkLocal);
    await clock.advance(1000);
    subscriber.expectEqual(served, [hidden, moving]);
    ask("POST", hidden, { from: { address: "2001:db8::7", port: 5683 } });
    ask("DELETE", moving);
    await clock.advance(1000);
    subscriber.expectEqual(served);
    expect([...subscriber.records.keys()]).toEqual([hidden]);
  });

  test("a history that is published late begins with what is there", async () => {
    const world = createVirtualWorld();
    const first = serveDirectory(world, { feed: null });
    first.register("ep=a", "</x>");
    const { createFeedPublisher } = await import("./feed-publisher.js");
    const feed = createFeedPublisher({ directory: first.directory, env: world.env }, { epoch: 5 });
    const { buildRequest } = await import("../testing/built-request.js");
    const answer = feed.answer("ep", [{ name: "href", value: "/", isPrefix: true }], buildRequest("GET", "/"));
    expect(textOf(answer)).toContain('"ep":"a"');
  });
});

describe("design section 3: versions", () => {
  const poll = (served: ServedDirectory, etag?: Uint8Array, observe?: number) =>
    served.ask("GET", FEEDS.ep, {
      accept: 51,
      ...(etag === undefined ? {} : { etags: [etag] }),
      ...(observe === undefined ? {} : { observe }),
    });

  test("with the held version as ETag only what changed since is sent, or 2.03", () => {
    const served = serve();
    served.register("ep=a");
    const first = poll(served);
    expect(first).toMatchObject({ contentFormat: 51, maxAgeS: 20 });
    expect(first.observation).toBeUndefined();
    const etag = first.etag as Uint8Array;
    const same = poll(served, etag);
    expect(codeOf(same)).toBe("2.03");
    expect(same).toMatchObject({ etag, maxAgeS: 20 });
    expect(same.payload).toBeUndefined();
    served.register("ep=b");
    const next = poll(served, etag);
    const [test] = JSON.parse(textOf(next));
    expect(test).toEqual({ op: "test", path: "/version", value: formatVersion(versionFromETag(etag) as never) });
    expect(textOf(next)).toContain('"ep":"b"');
    expect(textOf(next)).not.toContain('"ep":"a"');
  });

  test.each([
    { name: "of another history", etag: Uint8Array.of(1, 2, 3, 0, 0, 0, 0, 1) },
    { name: "of the future", etag: Uint8Array.of(0, 0x0a, 0xbc, 0, 0, 0, 9, 9) },
    { name: "that is no version", etag: Uint8Array.of(1, 2) },
  ])("an ETag $name starts from the beginning", ({ etag }) => {
    const served = serve();
    served.register("ep=a");
    expect(JSON.parse(textOf(poll(served, etag)))[0]).toMatchObject({ op: "replace", path: "" });
  });

  test("a cursor older than the remembered removals starts from the beginning", () => {
    const served = serve({ feed: { maxTombstones: 2 } });
    const locations = Array.from({ length: 5 }, (_, at) => served.register(`ep=e${at}`));
    const etag = poll(served).etag as Uint8Array;
    for (const location of locations.slice(0, 4)) served.ask("DELETE", location);
    const answer = JSON.parse(textOf(poll(served, etag)));
    expect(answer[0]).toMatchObject({ op: "replace", path: "" });
    expect(Object.keys(answer[0].value.registrations)).toEqual([locations[4]]);
  });

  test("a copy that is fetched poll by poll ends, although removals from before it are forgotten", () => {
    const served = serve({ feed: { maxTombstones: 0 } });
    const locations = Array.from({ length: 40 }, (_, at) => served.register(`ep=e${at}`));
    served.ask("DELETE", locations[39] as string);
    let answer = poll(served);
    let polls = 1;
    for (; codeOf(answer) !== "2.03"; polls++) {
      expect(polls).toBeLessThan(40);
      answer = poll(served, answer.etag);
    }
    expect(polls).toBeGreaterThan(4);
  });

  test("lt and lt-age are in the feed", async () => {
    const served = serve();
    const location = served.register("ep=a&lt=60");
    await served.clock.advance(30_500);
    const [{ value }] = JSON.parse(textOf(poll(served)));
    expect(value.registrations[location]).toMatchObject({ lt: 60, "lt-age": 30.5 });
  });

  test("an observer whose subscription was answered 2.03 gets what comes after", () => {
    const served = serve();
    served.register("ep=a");
    const etag = poll(served).etag as Uint8Array;
    const answer = poll(served, etag, 0);
    expect(codeOf(answer)).toBe("2.03");
    let wakes = 0;
    const peer = { key: "x", transport: "udp", address: "2001:db8::2", port: 1 } as const;
    const resource = answer.observation?.attach({ peer, wake: () => void wakes++, end: () => {} });
    expect(resource?.next()).toBeNull();
    served.register("ep=b");
    expect(wakes).toBe(1);
    const patch = resource?.next() as { payload: Uint8Array };
    expect(textOf(patch)).toContain('"ep":"b"');
    expect(resource?.next()).toBeNull();
    resource?.delivered?.();
    expect(resource?.next()).toBeNull();
  });

  test("patches build on those in transit, each on the one before", async () => {
    const served = serve();
    const etag = poll(served).etag as Uint8Array;
    for (let at = 0; at < 40; at++) served.register(`ep=endpoint-${at}`);
    let wakes = 0;
    const peer = { key: "x", transport: "udp", address: "2001:db8::2", port: 1 } as const;
    const observer = { peer, wake: () => void wakes++, end: () => {} };
    const resource = poll(served, etag, 0).observation?.attach(observer);
    const patches: string[] = [];
    for (let next = resource?.next(); next !== null; next = resource?.next()) patches.push(textOf(next as never));
    expect(patches.length).toBeGreaterThan(3);
    const bases = patches.map((text) => /^\[\{"op":"test","path":"\/version","value":"([^"]+)"/.exec(text)?.[1]);
    const versions = patches.map((text) => /"path":"\/version","value":"([^"]+)"\}\]$/.exec(text)?.[1]);
    expect(bases.slice(1)).toEqual(versions.slice(0, -1));
    // A small one waits while others are in transit, but not for long, and not when these have arrived.
    served.register("ep=one-more");
    expect(resource?.next()).toBeNull();
    await served.clock.advance(20);
    const sent = patches.length;
    for (let next = resource?.next(); next !== null; next = resource?.next()) patches.push(textOf(next as never));
    expect(patches[sent]).toContain("one-more");
    served.register("ep=the-last");
    expect(resource?.next()).toBeNull();
    const wakesBefore = wakes;
    for (const _ of patches) resource?.delivered?.();
    expect(wakes).toBe(wakesBefore + 1);
    expect(textOf(resource?.next() as never)).toContain("the-last");
  });

  test("over TCP a patch may be larger", () => {
    const served = serve();
    for (let at = 0; at < 300; at++) served.register(`ep=endpoint-${at}`);
    const tcp = served.ask("GET", FEEDS.ep, { accept: 51, from: { transport: "tcp" } });
    expect(tcp.payload?.length).toBeGreaterThan(20_000);
    expect(poll(served).payload?.length).toBeLessThanOrEqual(1024);
  });

  test("close ends the observations and listens no more", async () => {
    const { world, clock, feed, register } = serve();
    const ends: unknown[] = [];
    const bodies: string[] = [];
    openClient(world).endpoint.observe(
      { method: METHOD.GET, uri: `coap://[${DIRECTORY_ADDRESS}]/rd-lookup/ep`, query: ["href=/*"], accept: 51 },
      { onNotification: (response) => bodies.push(textOf(response)), onEnd: (reason) => ends.push(reason) },
    );
    await clock.advance(100);
    feed?.close();
    feed?.close();
    register("ep=a");
    await clock.advance(1000);
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toBe("the feed ends");
    expect(ends).toEqual(["error-response"]);
  });
});
