import { silentLogger } from "@tributary/runtime";
import { createVirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { TransportError } from "../errors.js";
import { alternating, HostNames, type NamedTarget } from "./host-names.js";

const RD: NamedTarget = { scheme: "coap", host: "rd.example", port: 5683 };
const FIRST = "2001:db8::1";
const SECOND = "192.0.2.1";
const THIRD = "2001:db8::3";
/** By then a name in use was resolved again, and a move confirmed. */
const MOVED_MS = 45_000;

/** `silent`: nothing answers there; `refusing`: the network says that nobody does. */
function open(listed: string[]) {
  const clock = createVirtualClock();
  const silent = new Set<string>();
  const refusing = new Set<string>();
  const probed: { address: string; atMs: number }[] = [];
  const resolver = { listed, isDown: false, asked: 0 };
  const names = new HostNames({
    clock,
    random: () => 0.5,
    logger: silentLogger,
    resolve: async () => {
      resolver.asked++;
      if (resolver.isDown) throw new Error("SERVFAIL");
      return resolver.listed;
    },
    probe: (_target, address, signal) => {
      probed.push({ address, atMs: clock.nowMs() });
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new TransportError("ABORTED", "another answered")));
        if (refusing.has(address)) reject(new TransportError("UNREACHABLE", "ECONNREFUSED"));
        else if (!silent.has(address)) resolve();
      });
    },
  });
  /** The address of a request, once one is found. */
  const addressOf = async (target = RD): Promise<string> => {
    let outcome: string | null = null;
    names.addressOf(target).then(
      (address) => {
        outcome = address;
      },
      (error: Error) => {
        outcome = error.message;
      },
    );
    await clock.runUntil(() => outcome !== null, 60_000);
    return outcome ?? "nothing";
  };
  return { clock, names, silent, refusing, probed, resolver, addressOf };
}

describe("every address is tried, in the resolver's order", () => {
  test.each([
    { name: "both families take turns", listed: ["a::1", "a::2", "a::3", "1.1.1.1"], want: "a::1 1.1.1.1 a::2 a::3" },
    { name: "the first one stays the first", listed: ["1.1.1.1", "1.1.1.2", "a::1"], want: "1.1.1.1 a::1 1.1.1.2" },
    { name: "more of the second family", listed: ["a::1", "1.1.1.1", "1.1.1.2"], want: "a::1 1.1.1.1 1.1.1.2" },
    { name: "one family", listed: ["a::1", "a::2"], want: "a::1 a::2" },
    { name: "none", listed: [], want: "" },
  ])("RFC 8305 section 4: $name", ({ listed, want }) => {
    expect(alternating(listed).join(" ")).toBe(want);
  });

  test("the only address is not probed", async () => {
    const { addressOf, probed } = open([FIRST]);
    expect(await addressOf()).toBe(FIRST);
    expect(probed).toEqual([]);
  });

  test("the first one that answers is taken", async () => {
    const { addressOf, probed } = open([FIRST, SECOND]);
    expect(await addressOf()).toBe(FIRST);
    expect(probed).toEqual([{ address: FIRST, atMs: 0 }]);
  });

  test("RFC 8305 section 5: the next is begun with after a quarter of a second", async () => {
    const { addressOf, silent, probed } = open([FIRST, SECOND, THIRD]);
    silent.add(FIRST);
    expect(await addressOf()).toBe(SECOND);
    expect(probed).toEqual([
      { address: FIRST, atMs: 0 },
      { address: SECOND, atMs: 250 },
    ]);
  });

  test("or at once where nothing listens", async () => {
    const { addressOf, refusing, probed } = open([FIRST, SECOND]);
    refusing.add(FIRST);
    expect(await addressOf()).toBe(SECOND);
    expect(probed.map(({ atMs }) => atMs)).toEqual([0, 0]);
  });

  test("where all refuse, the reason of the first is reported, and another try is another try", async () => {
    const { addressOf, refusing } = open([FIRST, SECOND]);
    refusing.add(FIRST).add(SECOND);
    expect(await addressOf()).toBe("ECONNREFUSED");
    refusing.clear();
    expect(await addressOf()).toBe(FIRST);
  });

  test("a server that answers no pings is asked all the same, and the next one when it does not answer requests", async () => {
    const { addressOf, names, silent, refusing } = open([FIRST, SECOND, THIRD]);
    silent.add(SECOND).add(THIRD);
    refusing.add(FIRST);
    expect(await addressOf()).toBe(SECOND);
    names.failed(RD, SECOND, true);
    expect(await addressOf()).toBe(THIRD);
  });

  test("a name that has no address, or cannot be resolved", async () => {
    const { addressOf, resolver } = open([]);
    expect(await addressOf()).toContain("has no address");
    resolver.isDown = true;
    expect(await addressOf()).toContain("could not be resolved");
  });
});

describe("one address at a time", () => {
  test("requests at the same time choose once", async () => {
    const { names, clock, resolver, silent } = open([FIRST, SECOND]);
    silent.add(FIRST);
    const all = Promise.all([names.addressOf(RD), names.addressOf(RD), names.addressOf(RD)]);
    await clock.advance(1000);
    expect(await all).toEqual([SECOND, SECOND, SECOND]);
    expect(resolver.asked).toBe(1);
  });

  test("the one that works is kept until it fails, whatever comes first in the list", async () => {
    const { addressOf, names, refusing, resolver, clock } = open([FIRST, SECOND]);
    refusing.add(FIRST);
    await addressOf();
    refusing.clear();
    resolver.listed = [THIRD, FIRST, SECOND];
    await clock.advance(MOVED_MS);
    expect(await addressOf()).toBe(SECOND);
    names.failed(RD, SECOND, true);
    expect(await addressOf()).toBe(THIRD);
  });

  test("other ports and transports of the host prefer the address that is in use", async () => {
    const { addressOf, refusing } = open([FIRST, SECOND]);
    refusing.add(FIRST);
    await addressOf();
    refusing.clear();
    expect(await addressOf({ ...RD, scheme: "coap+tcp" })).toBe(SECOND);
  });

  test("a failure of an address that is not in use any more changes nothing", async () => {
    const { addressOf, names } = open([FIRST, SECOND]);
    await addressOf();
    names.failed(RD, SECOND, true);
    names.failed({ ...RD, host: "unknown" }, FIRST, true);
    expect(await addressOf()).toBe(FIRST);
  });
});

describe("a name that moves", () => {
  async function followed(listed = [FIRST]) {
    const opened = open(listed);
    const moves: string[] = [];
    const follow = async (): Promise<void> => {
      const address = await opened.addressOf();
      opened.names.watch(RD, address, (error) => {
        moves.push(error.message);
        void follow();
      });
    };
    await follow();
    return { ...opened, moves };
  }

  test("is noticed, and reported once to those that use the old address", async () => {
    const { resolver, clock, moves, addressOf } = await followed();
    resolver.listed = [SECOND];
    await clock.advance(MOVED_MS);
    expect(moves).toEqual([`rd.example has moved from ${FIRST} to ${SECOND}`]);
    expect(await addressOf()).toBe(SECOND);
    await clock.advance(10 * MOVED_MS);
    expect(moves).toHaveLength(1);
  });

  test("one list without the address is no move", async () => {
    const { resolver, clock, moves } = await followed();
    for (let time = 0; time < 10; time++) {
      resolver.listed = [SECOND];
      const { asked } = resolver;
      await clock.runUntil(() => resolver.asked > asked);
      resolver.listed = [FIRST];
      await clock.advance(30_000);
    }
    expect(moves).toEqual([]);
  });

  test("a resolver that gives another part of the addresses each time moves nothing for long", async () => {
    const { resolver, clock, moves } = await followed();
    // The worst that there is: each address so long that it looks like a move.
    for (let time = 0; time < 20; time++) {
      resolver.listed = [time % 2 === 0 ? SECOND : FIRST];
      await clock.advance(MOVED_MS);
    }
    expect(moves.length).toBeLessThanOrEqual(1);
  });

  test("nothing is given up for an address where nobody is", async () => {
    const { resolver, clock, moves, refusing, addressOf } = await followed();
    refusing.add(SECOND);
    resolver.listed = [SECOND];
    await clock.advance(10 * MOVED_MS);
    expect(moves).toEqual([]);
    expect(await addressOf()).toBe(FIRST);
    refusing.clear();
    await clock.advance(MOVED_MS);
    expect(moves).toHaveLength(1);
  });

  test("a resolver that fails, or knows no address, says nothing", async () => {
    const { resolver, clock, moves } = await followed();
    resolver.isDown = true;
    await clock.advance(10 * MOVED_MS);
    resolver.isDown = false;
    resolver.listed = [];
    await clock.advance(10 * MOVED_MS);
    expect(moves).toEqual([]);
  });

  test("when one conversation fails and goes elsewhere, the others follow", async () => {
    const { names, silent, moves, addressOf } = await followed([FIRST, SECOND]);
    silent.add(FIRST);
    names.failed(RD, FIRST, false);
    expect(await addressOf()).toBe(SECOND);
    expect(moves).toHaveLength(1);
  });
});

describe("what is remembered", () => {
  test("a name that is not used any more costs nothing", async () => {
    const { addressOf, names, clock, resolver } = open([FIRST]);
    await addressOf();
    await clock.advance(400_000);
    expect([names.size, clock.pending]).toEqual([0, 0]);
    const { asked } = resolver;
    await clock.advance(400_000);
    expect(resolver.asked).toBe(asked);
  });

  test("there is a bound on names", async () => {
    const { names, addressOf } = open([FIRST]);
    for (let number = 0; number < 1100; number++) await addressOf({ ...RD, host: `h${number}.example` });
    expect(names.size).toBe(1024);
  });

  test("nothing happens after the end", async () => {
    const { addressOf, names, clock } = open([FIRST]);
    await addressOf();
    names.close();
    expect([names.size, clock.pending]).toEqual([0, 0]);
  });
});
