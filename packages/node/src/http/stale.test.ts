import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { FakeNode, ManualClock, registration } from "../../../../test/cli/fake-node.js";
import type { HttpRequest } from "./router.js";
import { type StaleView, staleRoute } from "./stale.js";

function setUp() {
  const { directory } = new FakeNode();
  const clock = new ManualClock();
  const route = staleRoute({ directory, clock });
  const ask = async (): Promise<StaleView> => {
    let body = "";
    const response = { writeHead() {}, end: (text: string) => (body = text) };
    await route.handle({} as HttpRequest, response as unknown as ServerResponse);
    return JSON.parse(body) as StaleView;
  };
  for (const source of ["near", "far"]) {
    directory.openSource(source, { authority: `coap://${source}.example` });
    directory.setConnected(source, true, 0);
  }
  for (let number = 0; number < 2500; number++) {
    const expiresAtMs = 100_000 + ((number * 7919) % 2500) * 1000;
    const source = number % 2 === 0 ? "near" : "far";
    directory.put(source, registration({ href: `/reg/${number}`, ep: `ep${number}`, expiresAtMs }), 0);
  }
  return { directory, clock, ask };
}

test("nothing is stale while all sources are reached", async () => {
  expect(await setUp().ask()).toEqual({ sources: [], next: [] });
});

test("a source that is lost, with what ends first and last", async () => {
  const { directory, clock, ask } = setUp();
  directory.setConnected("far", false, 0);
  const ends = [...directory.inspect()]
    .filter(({ stale }) => stale)
    .map(({ registration: { ep, expiresAtMs } }) => ({ ep, expiresAtMs }))
    .sort((one, other) => one.expiresAtMs - other.expiresAtMs);
  expect(ends).toHaveLength(1250);
  clock.advance(40_000);
  const left = (at: number) => ((ends.at(at)?.expiresAtMs ?? 0) - 40_000) / 1000;
  const { sources, next } = await ask();
  expect(sources).toEqual([{ source: "far", registrations: 1250, firstEnd: left(0), lastEnd: left(-1) }]);
  expect(next.map(({ ep, expiresIn }) => [ep, expiresIn])).toEqual(
    ends.slice(0, 20).map(({ ep }, at) => [ep, left(at)]),
  );
});

test("a result is given again for two seconds, and times go on meanwhile", async () => {
  const { directory, clock, ask } = setUp();
  directory.setConnected("far", false, 0);
  const first = await ask();
  directory.setConnected("far", true, 0);
  clock.advance(1500);
  expect((await ask()).sources[0]?.firstEnd).toBe((first.sources[0]?.firstEnd ?? 0) - 1.5);
  clock.advance(500);
  expect((await ask()).sources).toEqual([]);
});
