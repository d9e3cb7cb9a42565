import { viewUpstream } from "@tributary/node";
import { describe, expect, test } from "vitest";
import { FakeIo, ManualClock, upstreamStatus } from "../../../../test/cli/fake-node.js";
import { UsageError } from "../command-io.js";
import { status } from "./status.js";

async function run(
  answer: () => Promise<Response>,
  options: { json?: boolean; at?: string } = {},
): Promise<{ code: number; io: FakeIo }> {
  const io = new FakeIo();
  const flags = { at: options.at ?? "http://127.0.0.1:8683", json: options.json ?? false, timeout: 5 };
  return { code: await status(flags, { io, fetch: answer as typeof fetch }), io };
}

const clock = new ManualClock();
clock.advance(100_000);
const UPSTREAMS = [
  viewUpstream(upstreamStatus({ lastChangeMs: 5000, lagMs: 12 }), clock),
  viewUpstream(
    upstreamStatus({
      name: "[2001:db8:23::3]",
      phase: "stale",
      method: "poll",
      coverage: [],
      registrations: 12_345,
      lastError: "no answer",
    }),
    clock,
  ),
  viewUpstream(
    upstreamStatus({
      name: "rd-d",
      leftOut: new Map([
        ["malformed", 2],
        ["no-name", 1],
      ]),
      isComplete: false,
      coverage: [[{ name: "d", value: "x", isPrefix: true }]],
    }),
    clock,
  ),
];

describe("status", () => {
  test("is a table with aligned columns", async () => {
    const { code, io } = await run(() => Promise.resolve(Response.json(UPSTREAMS)));
    expect(code).toBe(0);
    expect(io.lines).toEqual([
      "NAME              PHASE              METHOD  COVERAGE  REGISTRATIONS  LEFT OUT                LAST CHANGE  LAG     ERROR",
      "rd-b              live               feed    all                   2  -                       1m ago       0.012s",
      "[2001:db8:23::3]  stale              poll    none              12345  -                       -            -       no answer",
      "rd-d              live (incomplete)  feed    d=x*                  2  2 malformed, 1 no-name  -            -",
    ]);
  });

  test("says what was lost of kept state when the node started", async () => {
    const io = new FakeIo();
    const damage = { "registration.store": { problem: "p", kept: 9, leftOut: 1, setAside: "/state.damaged-1" } };
    const fetch = (url: URL) => Promise.resolve(Response.json(url.pathname === "/api/node" ? { damage } : []));
    const flags = { at: "http://127.0.0.1:8683", json: false, timeout: 5 };
    expect(await status(flags, { io, fetch: fetch as typeof globalThis.fetch })).toBe(0);
    expect(io.lines).toEqual([
      "no upstreams",
      "registration.store was damaged: 1 records left out; what is left of it: /state.damaged-1",
    ]);
  });

  test("begins with the node itself, where that says what it is", async () => {
    const io = new FakeIo();
    const node = {
      name: "lp-z",
      version: "1.2.3",
      roles: ["rd", "lp"],
      uptime: 7300,
      listen: ["coap://[::1]:5683"],
      registrations: { visible: 4, superseded: 1, stale: 2, total: 5 },
      memory: { used: 5_242_880, limit: 104_857_600, sources: [], onDisk: 0 },
      store: { up: false, away: "no majority", position: 7, lag: 0 },
      global: { key: "k", members: 0, away: "nobody of the pool responds", published: false, names: 2, announced: 1 },
    };
    const fetch = (url: URL) => Promise.resolve(Response.json(url.pathname === "/api/node" ? node : []));
    const flags = { at: "http://127.0.0.1:8683", json: false, timeout: 5 };
    expect(await status(flags, { io, fetch: fetch as typeof globalThis.fetch })).toBe(0);
    expect(io.lines).toEqual([
      "lp-z (RD and lookup proxy, version 1.2.3) up for 2h, at coap://[::1]:5683",
      "4 registrations shown, 1 superseded, 2 stale; 5 MB of 100 MB of memory",
      "shared store: away: no majority, position 7",
      "pool: away: nobody of the pool responds, 1 of 2 names announced, this node is not to be found there",
      "",
      "no upstreams",
    ]);
  });

  test("--json prints what the node says", async () => {
    const { io } = await run(() => Promise.resolve(Response.json(UPSTREAMS)), { json: true });
    expect(JSON.parse(io.lines.join("\n"))).toEqual(JSON.parse(JSON.stringify(UPSTREAMS)));
  });

  test("a node without upstreams says so", async () => {
    expect((await run(() => Promise.resolve(Response.json([])))).io.lines).toEqual(["no upstreams"]);
  });

  test.each([
    {
      name: "nothing listens",
      answer: () =>
        Promise.reject(
          new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code: "ECONNREFUSED" }) }),
        ),
      want: "nothing listens there; is the node running, with HTTP enabled?",
    },
    {
      name: "silence",
      answer: () => Promise.reject(new DOMException("x", "TimeoutError")),
      want: "no response within 5 s",
    },
    {
      name: "an error",
      answer: () => Promise.resolve(new Response("", { status: 404, statusText: "Not Found" })),
      want: "it answers 404 Not Found",
    },
    {
      name: "something else",
      answer: () => Promise.resolve(Response.json({ a: 1 })),
      want: "it is not a Tributary node",
    },
  ])("$name is reported", async ({ answer, want }) => {
    const { code, io } = await run(answer);
    expect([code, io.errors]).toEqual([1, [`tributary: no status from http://127.0.0.1:8683: ${want}`]]);
  });

  test("a wrong --at is a wrong command line", async () => {
    await expect(run(() => Promise.reject(new Error()), { at: "coap://localhost" })).rejects.toThrow(UsageError);
  });
});
