import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { duplexPair } from "node:stream";
import { silentLogger } from "@tributary/runtime";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeNode, ManualClock, registration, upstreamStatus } from "../../../../test/cli/fake-node.js";
import { EventLog } from "../observability/event-log.js";
import { createMetrics } from "../observability/metrics.js";
import type { RegistrationView } from "./registrations.js";
import { createRouter, type HttpHandler } from "./router.js";
import { createRoutes } from "./routes.js";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One exchange with node:http on both ends of a pipe in memory. */
function ask(handler: HttpHandler, path: string, method = "GET", host = "localhost"): Promise<Answer> {
  const [clientEnd, serverEnd] = duplexPair();
  createServer(handler).emit("connection", serverEnd);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { method, path, headers: { host }, createConnection: () => clientEnd },
      async (incoming) => {
        const body = (await incoming.toArray()).join("");
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}

let node: FakeNode;
let clock: ManualClock;
let events: EventLog;
let handler: HttpHandler;

beforeEach(() => {
  node = new FakeNode();
  clock = new ManualClock();
  events = new EventLog({ directory: node.directory, clock });
  const metrics = createMetrics(node, { withProcess: false });
  handler = createRouter(
    { logger: silentLogger },
    createRoutes({ node, metrics, clock, events, logger: silentLogger, version: "1.2.3", roles: ["rd", "lp"] }),
    { names: ["lp.example.com"] },
  );
});

async function json(path: string): Promise<{ status: number; value: unknown }> {
  const { status, body } = await ask(handler, path);
  return { status, value: JSON.parse(body) };
}

describe("paths and methods", () => {
  test("another path is 404 in JSON", async () => {
    const { status, headers, body } = await ask(handler, "/api/nothing");
    expect([status, headers["content-type"], JSON.parse(body)]).toEqual([
      404,
      "application/json; charset=utf-8",
      { error: "there is nothing at /api/nothing" },
    ]);
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("%s is 405 and says what is allowed", async (method) => {
    const { status, headers } = await ask(handler, "/healthz", method);
    expect([status, headers.allow]).toEqual([405, "GET, HEAD"]);
  });

  test("a request for another host is 421, whatever it asks for", async () => {
    for (const path of ["/", "/healthz", "/api/registrations", "/api/nothing", "*"]) {
      const { status, body } = await ask(handler, path, "GET", "evil.example.com:8683");
      expect([status, JSON.parse(body)]).toEqual([421, { error: expect.stringContaining("http-names") }]);
    }
    expect((await ask(handler, "/healthz", "GET", "lp.example.com")).status).toBe(200);
  });

  test("HEAD has the header fields of GET and no body", async () => {
    const { status, headers, body } = await ask(handler, "/healthz", "HEAD");
    expect([status, headers["content-length"], body]).toEqual([200, "3", ""]);
  });

  test.each(["//evil/healthz", "*", "/%zz", `/${"x".repeat(5000)}`])("odd target %#", async (path) => {
    const { status } = await ask(handler, path);
    expect([400, 404]).toContain(status);
  });

  test("a route that fails is 500 and does not stop the server", async () => {
    const broken = createRouter({ logger: silentLogger }, [
      {
        path: "/",
        handle() {
          throw new Error("secret");
        },
      },
    ]);
    const { status, body } = await ask(broken, "/");
    expect([status, body.includes("secret")]).toEqual([500, false]);
  });
});

describe("health", () => {
  test("/healthz is ok", async () => {
    expect(await ask(handler, "/healthz")).toMatchObject({ status: 200, body: "ok\n" });
  });

  test("/readyz is 200 with the upstreams when the node is ready", async () => {
    node.statuses = [upstreamStatus()];
    expect(await json("/readyz")).toEqual({
      status: 200,
      value: {
        ready: true,
        upstreams: [{ name: "rd-b", phase: "live", mode: "replicate", tried: true, complete: true, ready: true }],
      },
    });
  });

  test("/readyz is 503 and says why", async () => {
    node.ready = false;
    node.statuses = [
      upstreamStatus({ phase: "discovering", wasTried: false, isComplete: false, lastError: "no answer" }),
    ];
    expect(await json("/readyz")).toMatchObject({
      status: 503,
      value: { ready: false, upstreams: [{ phase: "discovering", tried: false, complete: false, error: "no answer" }] },
    });
  });
});

test("/readyz shows a shared store that is away, while lookups go on", async () => {
  const shared = { position: 7, lag: 2, probes: { succeeded: 1, failed: 4 }, submissions: new Map() };
  Object.assign(node, { sharedStore: () => ({ ...shared, awayReason: "no majority" }) });
  expect(await json("/readyz")).toMatchObject({
    status: 200,
    value: { ready: true, store: { up: false, away: "no majority", position: 7, lag: 2 } },
  });
});

test.each(["/readyz", "/api/upstreams"])(
  "%s: an upstream of which something is left out is not complete",
  async (path) => {
    node.statuses = [upstreamStatus(), upstreamStatus({ leftOut: new Map([["memory", 3]]) })];
    const { value } = await json(path);
    const upstreams = Array.isArray(value) ? value : (value as { upstreams: unknown }).upstreams;
    expect(upstreams).toMatchObject([{ complete: true }, { complete: false, leftOut: { memory: 3 } }]);
  },
);

describe("/api", () => {
  test("/api/upstreams turns monotonic times into times of day and ages", async () => {
    clock.advance(10_000);
    node.statuses = [
      upstreamStatus({
        lastChangeMs: 4000,
        lagMs: 12.4,
        coverage: [
          [
            { name: "d", value: "x", isPrefix: false },
            { name: "rt", value: "te", isPrefix: true },
          ],
        ],
      }),
      upstreamStatus({ name: "rd-c", coverage: [[]] }),
    ];
    const { value } = await json("/api/upstreams");
    expect(value).toMatchObject([
      { name: "rd-b", lastChange: "2026-01-01T00:00:04.000Z", lastChangeAge: 6, lag: 0.012, coverage: ["d=x&rt=te*"] },
      { name: "rd-c", coverage: ["*"] },
    ]);
    expect((value as object[])[1]).not.toHaveProperty("lastChange");
  });

  test("/api/node says what this node is", async () => {
    clock.advance(61_000);
    expect((await json("/api/node")).value).toEqual({
      digest: "000000000000",
      memory: { used: 0, sources: [], onDisk: 0 },
      name: "lp-z",
      version: "1.2.3",
      listen: ["coap://[::1]:5683"],
      roles: ["rd", "lp"],
      uptime: 61,
      registrations: { visible: 0, superseded: 0, stale: 0, total: 0 },
    });
  });

  test("/ leads to the others", async () => {
    node.statuses = [upstreamStatus()];
    const { body } = await ask(handler, "/");
    for (const text of ["lp-z, resource directory and lookup proxy", "rd-b: live", "/api/registrations", "/metrics"]) {
      expect(body).toContain(text);
    }
  });
});

describe("/api/registrations", () => {
  beforeEach(() => {
    const { directory } = node;
    directory.openSource("local", { authority: null });
    directory.openSource("rd-b", { authority: "coap://[2001:db8:23::2]" });
    directory.setConnected("local", true, 0);
    directory.put("local", registration({ href: "/reg/1", ep: "a", renewedAtMs: 500 }), 0);
    directory.put("rd-b", registration({ href: "/reg/1", ep: "a", renewedAtMs: 2500 }), 0);
    directory.put(
      "local",
      registration({
        href: "/reg/2",
        ep: "b",
        d: "x",
        attributes: [
          ["et", "1"],
          ["et", "2"],
          ["flag", null],
        ],
      }),
      0,
    );
    directory.put("local", registration({ href: "/reg/3", ep: "b" }), 0);
    directory.put("local", registration({ href: "/reg/4", ep: "c", d: "y", expiry: "assumed" }), 0);
    clock.advance(2000);
  });

  async function list(query = ""): Promise<{ rows: RegistrationView[]; next: string | null }> {
    const { value } = await json(`/api/registrations${query}`);
    const { registrations, next } = value as { registrations: RegistrationView[]; next: string | null };
    return { rows: registrations, next };
  }

  async function names(query = ""): Promise<string[]> {
    return (await list(query)).rows.map(({ source, href, state }) => `${source} ${href} ${state}`);
  }

  test("everything, with its source and state", async () => {
    expect(await names()).toEqual([
      "rd-b coap://[2001:db8:23::2]/reg/1 stale",
      "local /reg/1 superseded",
      "local /reg/3 visible",
      "local /reg/2 visible",
      "local /reg/4 visible",
    ]);
  });

  test("one entry in full", async () => {
    expect((await list("?ep=b&d=x")).rows).toEqual([
      {
        source: "local",
        href: "/reg/2",
        ep: "b",
        d: "x",
        base: "coap://[2001:db8::9]",
        state: "visible",
        stale: false,
        renewed: "2026-01-01T00:00:00.000Z",
        age: 2,
        lt: 90_000,
        expiresIn: 89_998,
        expiry: "exact",
        links: 1,
        attributes: { et: ["1", "2"], flag: true },
      },
    ]);
  });

  test.each([
    { query: "?ep=b", want: ["local /reg/3 visible", "local /reg/2 visible"] },
    {
      query: "?d=",
      want: ["rd-b coap://[2001:db8:23::2]/reg/1 stale", "local /reg/1 superseded", "local /reg/3 visible"],
    },
    { query: "?source=rd-b", want: ["rd-b coap://[2001:db8:23::2]/reg/1 stale"] },
    { query: "?state=superseded", want: ["local /reg/1 superseded"] },
    { query: "?state=stale", want: ["rd-b coap://[2001:db8:23::2]/reg/1 stale"] },
    { query: "?ep=none", want: [] },
  ])("filter $query", async ({ query, want }) => {
    expect(await names(query)).toEqual(want);
  });

  test("pages end with whole keys and lead on", async () => {
    const first = await list("?limit=1");
    expect(first.rows.map(({ ep }) => ep)).toEqual(["a", "a"]);
    const second = await list(`?limit=2&after=${first.next}`);
    expect(second.rows.map(({ ep, d }) => [ep, d])).toEqual([
      ["b", undefined],
      ["b", "x"],
    ]);
    const third = await list(`?limit=2&after=${second.next}`);
    expect([third.rows.map(({ ep }) => ep), third.next]).toEqual([["c"], null]);
  });

  test.each([
    { query: "?limit=0" },
    { query: "?limit=-1" },
    { query: "?limit=9999999999" },
    { query: "?state=gone" },
    { query: "?after=%00" },
    { query: "?color=red" },
    { query: "?ep=a&ep=b" },
  ])("$query is refused", async ({ query }) => {
    expect((await json(`/api/registrations${query}`)).status).toBe(400);
  });

  test("ten thousand entries come in pieces", async () => {
    for (let index = 0; index < 10_000; index++) {
      node.directory.put("local", registration({ href: `/many/${index}`, ep: `many-${index}` }), 0);
    }
    expect((await list()).rows).toHaveLength(10_005);
  });
});
