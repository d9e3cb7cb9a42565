import { createSocket } from "node:dgram";
import { createEndpointClient, type EndpointClient, runCli } from "@tributary/cli";
import {
  CODE,
  type CoapListener,
  listenCoap,
  METHOD,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { FakeIo } from "./fake-node.js";

const env = systemEnvironment(silentLogger);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function listen(handler: RequestHandler, host = "127.0.0.1"): Promise<CoapListener> {
  const listener = await listenCoap({ env, handler }, { uri: `coap://${host}:0` });
  closers.push(() => listener.close());
  return listener;
}

function openClient(): EndpointClient {
  const client = createEndpointClient();
  closers.push(() => client.close());
  return client;
}

const control = (timeoutMs = 3000) => ({ timeoutMs, signal: new AbortController().signal });

/** As much of an RD as an endpoint meets. */
class SmallDirectory {
  readonly log: string[] = [];
  readonly ports = new Set<number>();
  readonly registered = new Map<string, { query: readonly string[]; payload: string }>();
  isForgetful = false;
  /** Location-Path of all registrations; null: one of its own for each. */
  location: readonly string[] | null = null;
  #nextId = 1;

  readonly handler: RequestHandler = (request) => {
    this.ports.add(request.peer.port);
    const path = request.path.join("/");
    this.log.push(`${request.method} ${path}`);
    if (path === ".well-known/core")
      return { code: CODE.CONTENT, contentFormat: 40, payload: text('</rd>;rt="core.rd"') };
    if (path === "rd" && request.method === METHOD.POST) return this.#register(request);
    return this.#registration(request, path);
  };

  #register({ query, payload }: ServerRequest): ServerResponse {
    const locationPath = this.location ?? ["reg", String(this.#nextId++)];
    this.registered.set(locationPath.join("/"), { query, payload: new TextDecoder().decode(payload) });
    return { code: CODE.CREATED, locationPath };
  }

  #registration({ method }: ServerRequest, path: string): ServerResponse {
    if (this.isForgetful) this.registered.delete(path);
    if (!this.registered.has(path)) return { code: CODE.NOT_FOUND };
    if (method === METHOD.DELETE) this.registered.delete(path);
    return { code: method === METHOD.DELETE ? CODE.DELETED : CODE.CHANGED };
  }
}

describe("endpoint client", () => {
  test("paths and queries arrive as they are, and Location comes back", async () => {
    let seen: ServerRequest | undefined;
    const { uri } = await listen((request) => {
      seen = request;
      return { code: CODE.CREATED, locationPath: ["reg", "ä/1", ""] };
    });
    const response = await openClient().request(
      { method: "POST", uri: `${uri}/r%C3%A4/x%2Fy/`, query: ["ep=a&b", "d=100%"], payload: "</t>" },
      control(),
    );
    expect(response).toMatchObject({ code: "2.01", locationPath: ["reg", "ä/1", ""] });
    expect(seen).toMatchObject({ path: ["rä", "x/y", ""], query: ["ep=a&b", "d=100%"], contentFormat: 40 });
  });

  test("a payload of many blocks arrives whole", async () => {
    const links = Array.from({ length: 300 }, (_, index) => `</sensor/${index}>;rt="temperature"`).join(",");
    let received = "";
    const { uri } = await listen(({ payload }) => {
      received = new TextDecoder().decode(payload);
      return { code: CODE.CREATED, locationPath: ["reg", "1"] };
    });
    await openClient().request({ method: "POST", uri: `${uri}/rd`, payload: links }, control());
    expect(received).toBe(links);
  });

  test("SEC-08 an Echo challenge is answered", async () => {
    const { uri } = await listen(({ echo }) =>
      echo === undefined
        ? { code: CODE.UNAUTHORIZED, echo: Uint8Array.of(7, 8, 9) }
        : { code: CODE.CHANGED, payload: echo },
    );
    const { code, payload } = await openClient().request({ method: "POST", uri: `${uri}/reg/1` }, control());
    expect([code, [...payload]]).toEqual(["2.04", [7, 8, 9]]);
  });

  test("a name with several addresses is asked at all of them", async () => {
    const { uri } = await listen(() => ({ code: CODE.CONTENT, payload: text("here") }));
    const { payload } = await openClient().request(
      { method: "GET", uri: uri.replace("127.0.0.1", "localhost") },
      control(),
    );
    expect(new TextDecoder().decode(payload)).toBe("here");
  });

  test("silence ends with TIMEOUT, interruption with ABORTED, and the client goes on working", async () => {
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    closers.push(() => silent.close());
    const client = openClient();
    const uri = `coap://127.0.0.1:${silent.address().port}/x`;
    await expect(client.request({ method: "GET", uri }, control(50))).rejects.toMatchObject({ code: "TIMEOUT" });
    const interrupt = new AbortController();
    const pending = client.request({ method: "GET", uri }, { timeoutMs: 5000, signal: interrupt.signal });
    interrupt.abort();
    await expect(pending).rejects.toMatchObject({ code: "ABORTED" });
    const { uri: alive } = await listen(() => ({ code: CODE.CONTENT }));
    expect(await client.request({ method: "GET", uri: alive }, control())).toMatchObject({ code: "2.05" });
  });

  test("closing with a request under way does no harm", async () => {
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    closers.push(() => silent.close());
    const client = createEndpointClient();
    const pending = client.request({ method: "GET", uri: `coap://127.0.0.1:${silent.address().port}` }, control(100));
    await new Promise((resolve) => silent.once("message", resolve));
    client.close();
    await expect(pending).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("datagrams that nobody asked for, and broken ones, do no harm", async () => {
    const attacker = createSocket("udp4").bind(0, "127.0.0.1");
    closers.push(() => attacker.close());
    const { uri } = await listen(async ({ peer }) => {
      for (let round = 0; round < 50; round++) {
        const bytes = Uint8Array.from({ length: round }, (_, index) => (index * 37 + round * 11) & 255);
        await new Promise((resolve) => attacker.send(bytes, peer.port, "127.0.0.1", resolve));
      }
      return { code: CODE.CONTENT, payload: text("mine") };
    });
    const { payload } = await openClient().request({ method: "GET", uri }, control());
    expect(new TextDecoder().decode(payload)).toBe("mine");
  });
});

describe("tributary register", () => {
  function start(...args: string[]): { io: FakeIo; done: Promise<number> } {
    const io = new FakeIo();
    const done = runCli(["register", "--ep", "node1", ...args], io);
    closers.push(() => {
      io.stop();
      return done;
    });
    return { io, done };
  }

  test("registers, and removes the registration when interrupted", async () => {
    const directory = new SmallDirectory();
    const { uri } = await listen(directory.handler);
    const { io, done } = start(
      "--at",
      uri,
      "--d",
      "floor 3",
      "--lt",
      "600",
      "--base",
      "coap://[2001:db8::1]",
      '</t>;rt="temp"',
    );
    expect(await io.line(/^registered/)).toBe(`registered ${uri}/reg/1`);
    expect(directory.registered.get("reg/1")).toEqual({
      query: ["ep=node1", "d=floor 3", "lt=600", "base=coap://[2001:db8::1]"],
      payload: '</t>;rt="temp"',
    });
    io.stop();
    expect(await done).toBe(0);
    expect([io.lines.at(-1), directory.registered.size]).toEqual([`removed ${uri}/reg/1`, 0]);
  });

  test("links come from stdin", async () => {
    const directory = new SmallDirectory();
    const { uri } = await listen(directory.handler);
    const io = new FakeIo();
    io.input = text("</t>\n");
    const done = runCli(["register", "--ep", "node1", "--at", uri, "-"], io);
    await io.line(/^registered/);
    expect(directory.registered.get("reg/1")?.payload).toBe("</t>");
    io.stop();
    await done;
  });

  test("renews in time, from the same address", async () => {
    const directory = new SmallDirectory();
    const { uri } = await listen(directory.handler);
    const { io } = start("--at", uri, "--lt", "1");
    await io.line(/^registered/);
    await expect.poll(() => directory.log.filter((line) => line === "2 reg/1").length).toBeGreaterThan(1);
    expect(directory.ports.size).toBe(1);
  });

  test("draft 4.4.1: when the RD falls silent, the next one gets a new registration", async () => {
    const first = new SmallDirectory();
    const second = new SmallDirectory();
    const one = await listen(first.handler);
    const two = await listen(second.handler);
    const { io } = start("--at", one.uri, "--at", two.uri, "--lt", "1");
    expect(await io.line(/^registered/)).toBe(`registered ${one.uri}/reg/1`);
    await one.close();
    expect(await io.line(/^registered/, 1)).toBe(`registered ${two.uri}/reg/1`);
    expect(io.errors[0]).toContain(`lost ${one.uri}/reg/1`);
  });

  test("an RD that forgot the registration gets it again", async () => {
    const directory = new SmallDirectory();
    const { uri } = await listen(directory.handler);
    const { io } = start("--at", uri, "--lt", "1");
    await io.line(/^registered/);
    directory.isForgetful = true;
    expect(await io.line(/^registered/, 1)).toBe(`registered ${uri}/reg/2`);
  });

  test.each([
    { name: "an empty first segment", location: ["", "x"], path: "//x" },
    { name: "what looks like another host", location: ["", "other.example", "reg"], path: "//other.example/reg" },
    { name: "an empty last segment", location: ["reg", "1", ""], path: "/reg/1/" },
    { name: "a slash within a segment", location: ["reg", "a/b"], path: "/reg/a%2Fb" },
    { name: "a scheme within a segment", location: ["coap:", "", "h"], path: "/coap://h" },
    { name: "a question mark and a percent sign", location: ["a?b", "100%", "#"], path: "/a%3Fb/100%25/%23" },
  ])("RFC 7252 section 6.5: a Location with $name is on the same RD", async ({ location, path }) => {
    const directory = new SmallDirectory();
    directory.location = location;
    const { uri } = await listen(directory.handler);
    const { io, done } = start("--at", uri, "--lt", "1");
    expect(await io.line(/^registered/)).toBe(`registered ${uri}${path}`);
    await expect.poll(() => directory.log).toContain(`2 ${location.join("/")}`);
    io.stop();
    expect(await done).toBe(0);
    expect(directory.log.at(-1)).toBe(`4 ${location.join("/")}`);
  });

  test.each([
    { name: "..", location: ["reg", "..", "rd"] },
    { name: ".", location: ["reg", ".", "1"] },
    { name: "nothing", location: [] },
  ])("RFC 7252 section 5.10.7: a Location with $name is refused, and nothing is sent there", async ({ location }) => {
    const directory = new SmallDirectory();
    directory.location = location;
    const { uri } = await listen(directory.handler);
    const { io, done } = start("--at", uri, "--lt", "1");
    expect(await done).toBe(1);
    expect(io.errors.join()).toContain("Location");
    expect(directory.log).toEqual(["1 .well-known/core", "2 rd"]);
  });

  test("when nobody answers the command fails and says why", async () => {
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    closers.push(() => silent.close());
    const at = `coap://127.0.0.1:${silent.address().port}`;
    const { io, done } = start("--at", at, "--timeout", "0.1");
    expect(await done).toBe(1);
    expect(io.errors).toEqual([`tributary: no registration at ${at}: no response within 0.1 s`]);
  });
});
