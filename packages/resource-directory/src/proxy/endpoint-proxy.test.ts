import {
  CODE,
  type CoapClient,
  type CoapOption,
  METHOD,
  type ObservationSource,
  OPTION,
  type RequestHandler,
  TransportError,
} from "@tributary/coap-transport";
import {
  createVirtualStreams,
  createVirtualWorld,
  openStreamClient,
  serveStreamsAt,
} from "@tributary/coap-transport/testing";
import { createSite } from "@tributary/lookup-interface";
import { createDirectory } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { DEFAULT_PROXY_LIMITS, type ProxyLimits, type ProxyNaming } from "../proxy-types.js";
import { createResourceDirectory } from "../resource-directory.js";
import { createMemoryStore } from "../store/memory-store.js";
import type { RegistrationStore } from "../store/types.js";
import type { StoredRegistration } from "../stored-registration.js";
import { codeOf, inVirtualTime, textOf } from "../testing/served-directory.js";

const RD = "2001:db8::3";
const URI = `coap+tcp://[${RD}]`;

interface Options {
  readonly limits?: Partial<ProxyLimits>;
  readonly names?: boolean;
  readonly takenPorts?: readonly number[];
  readonly store?: RegistrationStore;
}

async function open(options: Options = {}) {
  const world = createVirtualWorld();
  const streams = createVirtualStreams(world);
  const directory = createDirectory();
  const { env } = world;
  const listen = async ({ port }: { port: number }, handler: RequestHandler) => {
    if (options.takenPorts?.includes(port)) throw new TransportError("BIND_FAILED", "taken");
    return serveStreamsAt({ env, streams, handler }, { address: RD, port });
  };
  const naming: ProxyNaming =
    options.names === true
      ? { kind: "names", domain: "rd.example", transports: [{ scheme: "coap+tcp", port: 5683 }] }
      : { kind: "ports", from: 10_000, to: 10_003, schemes: ["coap+tcp"], listen };
  const client = openStreamClient({ env, streams }, { address: "2001:db8::9", port: 0 });
  const rd = createResourceDirectory(
    { directory, store: options.store ?? createMemoryStore(1), client, env },
    {
      proxy: {
        naming,
        limits: { ...DEFAULT_PROXY_LIMITS, ...options.limits },
        graceMs: 30_000,
        timeoutMs: 20_000,
      },
    },
  );
  await inVirtualTime(world, rd.start());
  const site = createSite(rd.resources);
  serveStreamsAt({ env, streams, handler: rd.proxy?.around(site) ?? site }, { address: RD, port: 5683 });

  /** An endpoint behind a connection of its own. */
  const endpoint = (handler: RequestHandler, address = "2001:db8:ff::1") =>
    openStreamClient({ env, streams }, { address, port: 0 }, { handler });
  async function ask(from: CoapClient, method: keyof typeof METHOD, uri: string, more = {}) {
    const response = await inVirtualTime(world, from.request({ method: METHOD[method], uri, ...more }));
    return { ...response, code: codeOf(response), text: textOf(response) };
  }
  const register = (from: CoapClient, query = "ep=door") => ask(from, "POST", `${URI}/rd?proxy&${query}`);
  const shown = () =>
    [...directory.inspect()].map(({ registration: { ep, base, attributes } }) => ({ ep, base, attributes }));
  return { ...world, streams, rd, directory, client, endpoint, ask, register, shown };
}

const echo: RequestHandler = ({ method, path, query, options, payload }) => ({
  code: CODE.CONTENT,
  payload: Buffer.from(
    JSON.stringify({ method, path, query, options: options.map(({ number }) => number), size: payload.length }),
  ),
});

describe("draft 6.3: the proxy registration parameter", () => {
  test("PXY-01 PXY-02 the base is a port of the RD, and requests reach the endpoint with their options untouched", async () => {
    const { ask, client, endpoint, register, shown } = await open();
    // An endpoint that understands every option.
    expect((await register(endpoint(Object.assign(echo.bind(null), { relays: () => true })))).code).toBe("2.01");
    expect(shown()).toEqual([{ ep: "door", base: `coap+tcp://[${RD}]:10000`, attributes: [] }]);
    const options: CoapOption[] = [
      { number: OPTION.OSCORE, value: Buffer.from([9, 1]) },
      { number: 65_000, value: Buffer.from("x") },
    ];
    const asked = await ask(client, "GET", `coap+tcp://[${RD}]:10000/a/b?c=1`, { accept: 50, options });
    expect(asked.code).toBe("2.05");
    expect(JSON.parse(asked.text)).toEqual({
      method: METHOD.GET,
      path: ["a", "b"],
      query: ["c=1"],
      options: [OPTION.OSCORE, OPTION.URI_PATH, OPTION.URI_PATH, OPTION.URI_QUERY, OPTION.ACCEPT, 65_000],
      size: 0,
    });
  });

  test("bodies larger than a message pass in both directions", async () => {
    const { ask, client, endpoint, register } = await open();
    const reflect: RequestHandler = ({ payload }) => ({ code: CODE.CHANGED, payload });
    await register(endpoint(reflect));
    const payload = Buffer.alloc(20_000, "b");
    const { code, text } = await ask(client, "PUT", `coap+tcp://[${RD}]:10000/`, { payload });
    expect({ code, isSame: text === payload.toString() }).toEqual({ code: "2.04", isSame: true });
  });

  test("RFC 7252 section 5.7.2: a request to a forward-proxy is refused", async () => {
    const { ask, client, endpoint, register } = await open();
    await register(endpoint(echo));
    const options = [{ number: OPTION.PROXY_URI, value: Buffer.from("coap://x") }];
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`, { options })).code).toBe("5.05");
  });

  test("RFC 8768: the Hop-Limit counts this hop", async () => {
    const { ask, client, endpoint, register } = await open();
    await register(endpoint(({ hopLimit }) => ({ code: CODE.CONTENT, payload: Buffer.from(String(hopLimit)) })));
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`, { hopLimit: 5 })).text).toBe("4");
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`, { hopLimit: 1 })).code).toBe("5.08");
  });

  test("Observe: notifications reach the client, and it can deregister", async () => {
    const { client, clock, endpoint, register, rd } = await open();
    let state = 0;
    let wake = () => {};
    let isClosed = false;
    const observation: ObservationSource = {
      attach(observer) {
        let sent = 0;
        wake = () => observer.wake();
        return {
          next: () => {
            if (sent === state) return null;
            sent = state;
            return { code: CODE.CONTENT, payload: Buffer.from(String(state)) };
          },
          closed: () => {
            isClosed = true;
          },
        };
      },
    };
    await register(endpoint(() => ({ code: CODE.CONTENT, payload: Buffer.from("0"), observation })));
    const seen: string[] = [];
    const watching = client.observe(
      { method: METHOD.GET, uri: `coap+tcp://[${RD}]:10000/s` },
      { onNotification: (response) => void seen.push(textOf(response)), onEnd: () => {} },
    );
    await clock.advance(1000);
    for (state = 1; state < 3; state++) {
      wake();
      await clock.advance(1000);
    }
    expect(seen).toEqual(["0", "1", "2"]);
    expect(rd.tableSizes()["relayed-observations"]).toBe(1);
    void watching.close();
    await clock.advance(5000);
    expect({ isClosed, left: rd.tableSizes()["relayed-observations"] }).toEqual({ isClosed: true, left: 0 });
  });

  test("an observation ends with the connection of the endpoint", async () => {
    const { client, clock, endpoint, register, rd, streams } = await open();
    const observation: ObservationSource = { attach: () => ({ next: () => null }) };
    const device = endpoint(() => ({ code: CODE.CONTENT, observation }));
    await register(device);
    const codes: string[] = [];
    client.observe(
      { method: METHOD.GET, uri: `coap+tcp://[${RD}]:10000/s` },
      { onNotification: (response) => void codes.push(codeOf(response)), onEnd: () => {} },
    );
    await clock.advance(1000);
    streams.crash("2001:db8:ff::1", false);
    await clock.advance(1000);
    expect(codes).toEqual(["2.05", "5.04"]);
    expect(rd.tableSizes()["relayed-observations"]).toBe(0);
  });

  test("names: Uri-Host tells endpoints apart", async () => {
    const { ask, client, endpoint, register, shown } = await open({ names: true });
    await register(endpoint(({ uriHost }) => ({ code: CODE.CONTENT, payload: Buffer.from(uriHost ?? "") })));
    const [{ base } = { base: "" }] = shown();
    expect(base).toMatch(/^coap\+tcp:\/\/[a-z2-7]{12}\.rd\.example$/);
    const host = base.slice("coap+tcp://".length);
    const to = (name: string) => ({ options: [{ number: OPTION.URI_HOST, value: Buffer.from(name) }] });
    expect((await ask(client, "GET", `${URI}/x`, to(host.toUpperCase()))).text).toBe(host.toUpperCase());
    expect((await ask(client, "GET", `${URI}/x`, to("other.rd.example"))).code).toBe("4.04");
    expect((await ask(client, "GET", `${URI}/.well-known/core`, to("rd.example"))).text).toContain('rt="core.rd"');
  });

  test("the registration interface says that it takes the parameter", async () => {
    const { ask, client } = await open();
    const core = await ask(client, "GET", `${URI}/.well-known/core`);
    expect(core.text).toBe('</rd>;rt="core.rd";ct=40;proxy');
  });

  test.each([
    { name: "with a base of its own", query: "proxy&ep=a&base=coap://x", want: "4.00" },
    { name: "with a value", query: "proxy=no&ep=a", want: "4.00" },
    { name: "without a name", query: "proxy", want: "4.00" },
  ])("PXY-01 refused: $name", async ({ query, want }) => {
    const { ask, endpoint, rd } = await open();
    expect((await ask(endpoint(echo), "POST", `${URI}/rd?${query}`)).code).toBe(want);
    expect(rd.tableSizes()["proxied-endpoints"]).toBe(0);
  });
});

describe("the connection", () => {
  test("PXY-02 the registration ends when it is gone for longer than the grace period", async () => {
    const { ask, client, clock, endpoint, rd, register, shown } = await open();
    const device = endpoint(echo);
    await register(device);
    void device.close();
    await clock.advance(29_000);
    expect(shown()).toHaveLength(1);
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`)).code).toBe("5.04");
    await clock.advance(2000);
    expect(shown()).toEqual([]);
    expect(rd.proxy?.ends).toEqual(new Map([["connection-lost", 1]]));
    expect(rd.tableSizes()["proxied-endpoints"]).toBe(0);
    await expect(ask(client, "GET", `coap+tcp://[${RD}]:10000/`)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test("an endpoint that connects again in time keeps its base and its registration", async () => {
    const { ask, client, clock, endpoint, register, shown } = await open();
    const device = endpoint(echo);
    const before = await register(device);
    void device.close();
    await clock.advance(20_000);
    const after = await register(endpoint(echo));
    expect(after.locationPath).toEqual(before.locationPath);
    await clock.advance(60_000);
    expect(shown()).toMatchObject([{ base: `coap+tcp://[${RD}]:10000` }]);
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`)).code).toBe("2.05");
  });

  test("RFC 9176 section 5.3.1: an update from elsewhere renews, and leaves the connection alone", async () => {
    const { ask, client, endpoint, register } = await open();
    const { locationPath } = await register(endpoint(echo));
    const uri = `${URI}/${locationPath.join("/")}`;
    const refusing: RequestHandler = () => ({ code: CODE.FORBIDDEN });
    expect((await ask(endpoint(refusing, "2001:db8:ff::2"), "POST", `${uri}?lt=600`)).code).toBe("2.04");
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`)).code).toBe("2.05");
  });

  test("an update with proxy moves the endpoint to another connection", async () => {
    const { ask, client, clock, endpoint, register, shown } = await open();
    const first = endpoint(() => ({ code: CODE.FORBIDDEN }));
    const { locationPath } = await register(first);
    const uri = `${URI}/${locationPath.join("/")}`;
    expect((await ask(endpoint(echo), "POST", `${uri}?proxy`)).code).toBe("2.04");
    void first.close();
    await clock.advance(60_000);
    expect(shown()).toHaveLength(1);
    expect((await ask(client, "GET", `coap+tcp://[${RD}]:10000/`)).code).toBe("2.05");
  });

  test.each([
    { name: "a removal", method: "DELETE", query: "" },
    { name: "a base of its own", method: "POST", query: "?base=coap://elsewhere" },
  ] as const)("$name gives the port back", async ({ method, query }) => {
    const { ask, clock, endpoint, rd, register, shown } = await open();
    const device = endpoint(echo);
    const { locationPath } = await register(device);
    await ask(device, method, `${URI}/${locationPath.join("/")}${query}`);
    await clock.advance(1000);
    expect(rd.tableSizes()["proxied-endpoints"]).toBe(0);
    expect(shown().map(({ base }) => base)).toEqual(method === "DELETE" ? [] : ["coap://elsewhere"]);
  });

  test("the end of the lifetime gives the port back, too", async () => {
    const { clock, endpoint, rd, register, directory } = await open();
    await register(endpoint(echo), "ep=door&lt=60");
    await clock.advance(61_000);
    directory.expire(clock.nowMs());
    await clock.advance(10);
    expect(rd.tableSizes()["proxied-endpoints"]).toBe(0);
  });
});

describe("bounds", () => {
  test("more endpoints than ports or places: 5.03, and nothing is registered", async () => {
    const { endpoint, rd, register, shown } = await open({ limits: { endpoints: 2 } });
    const codes = [];
    for (const ep of ["a", "b", "c"]) codes.push((await register(endpoint(echo), `ep=${ep}`)).code);
    expect(codes).toEqual(["2.01", "2.01", "5.03"]);
    expect(shown()).toHaveLength(2);
    expect(rd.rejected.get("proxy-full")).toBe(1);
  });

  test("ports that others have are left out, and one that was given up is the last to be used again", async () => {
    const { clock, endpoint, register, shown } = await open({ takenPorts: [10_001] });
    const first = endpoint(echo);
    await register(first, "ep=a");
    void first.close();
    await clock.advance(31_000);
    for (const ep of ["b", "c", "d"]) await register(endpoint(echo), `ep=${ep}`);
    expect(shown().map(({ base }) => base.slice(-5))).toEqual(["10002", "10003", "10000"]);
  });

  test("a client that floods an endpoint gets half of its places, others the rest; beyond them 5.03", async () => {
    const { client, clock, endpoint, rd, register } = await open({ limits: { requestsPerEndpoint: 4 } });
    const codes = new Map<string, number>();
    await register(endpoint(() => new Promise(() => {})));
    const flood = (from: CoapClient, count: number) => {
      for (let sent = 0; sent < count; sent++)
        void from
          .request({ method: METHOD.GET, uri: `coap+tcp://[${RD}]:10000/` })
          .then((response) => codes.set(codeOf(response), (codes.get(codeOf(response)) ?? 0) + 1));
    };
    flood(client, 10);
    await clock.advance(1000);
    expect(codes).toEqual(new Map([["5.03", 8]]));
    flood(endpoint(echo, "2001:db8:7::1"), 3);
    await clock.advance(1000);
    expect(codes).toEqual(new Map([["5.03", 9]]));
    expect(rd.tableSizes()["relayed-requests"]).toBe(4);
    await clock.advance(20_000);
    expect(codes.get("5.04")).toBe(4);
    expect(rd.rejected.get("proxy-endpoint-busy")).toBe(9);
    expect(rd.tableSizes()["relayed-requests"]).toBe(0);
  });

  test("a response beyond body-bytes is 5.02, and memory beyond bytes 5.03", async () => {
    const { ask, client, endpoint, rd, register } = await open({ limits: { bodyBytes: 2000, bytes: 3000 } });
    await register(endpoint(({ path }) => ({ code: CODE.CONTENT, payload: Buffer.alloc(Number(path[0])) })));
    const uri = `coap+tcp://[${RD}]:10000`;
    expect((await ask(client, "GET", `${uri}/2000`)).code).toBe("2.05");
    expect((await ask(client, "GET", `${uri}/2001`)).code).toBe("5.02");
    expect((await ask(client, "PUT", `${uri}/1`, { payload: Buffer.alloc(1001) })).code).toBe("5.03");
    expect(rd.rejected.get("proxy-memory")).toBe(1);
  });

  test("observations beyond the limit become single responses", async () => {
    const { client, clock, endpoint, register } = await open({ limits: { observationsPerEndpoint: 1 } });
    const observation: ObservationSource = { attach: () => ({ next: () => null }) };
    await register(endpoint(() => ({ code: CODE.CONTENT, observation })));
    const ends: unknown[] = [];
    for (const path of ["a", "b"])
      client.observe(
        { method: METHOD.GET, uri: `coap+tcp://[${RD}]:10000/${path}` },
        { onNotification: () => {}, onEnd: (reason) => void ends.push(reason) },
      );
    await clock.advance(1000);
    expect(ends).toEqual(["not-observable"]);
  });
});

describe("a restart", () => {
  const stored = (base: string): StoredRegistration => ({
    ...{ id: "7", ep: "door", base, isBaseExplicit: false, ltS: 3600, attributes: [], links: "" },
    ...{ renewedAtWallMs: 0, isSimple: false, isProxied: true },
  });
  const storeWith = (registration: StoredRegistration): RegistrationStore => ({
    ...createMemoryStore(1),
    async *load() {
      yield { ...registration, renewedAtWallMs: createVirtualWorld().clock.wallMs() };
    },
  });

  test("the endpoint has the grace period to connect again, under the base that it had", async () => {
    const { clock, endpoint, register, shown } = await open({ store: storeWith(stored(`coap+tcp://[${RD}]:10002`)) });
    expect(shown()).toHaveLength(1);
    await clock.advance(20_000);
    await register(endpoint(echo));
    await clock.advance(60_000);
    expect(shown()).toMatchObject([{ base: `coap+tcp://[${RD}]:10002` }]);
  });

  test("without a connection it ends", async () => {
    const { clock, shown } = await open({ store: storeWith(stored(`coap+tcp://[${RD}]:10002`)) });
    await clock.advance(31_000);
    expect(shown()).toEqual([]);
  });

  test("a base that is none of its ports any more is removed at once", async () => {
    const { rd, shown } = await open({ store: storeWith(stored(`coap+tcp://[${RD}]:20000`)) });
    expect(shown()).toEqual([]);
    expect(rd.proxy?.ends).toEqual(new Map([["not-restored", 1]]));
  });
});
