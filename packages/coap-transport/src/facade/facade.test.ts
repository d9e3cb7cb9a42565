import { afterEach, describe, expect, test, vi } from "vitest";
import type { CoapListener } from "../types.js";
import { coap } from "./coap.js";
import { createServer, type Server } from "./server.js";

const listeners: CoapListener[] = [];

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
});

async function serve(server: Server, scheme = "coap"): Promise<string> {
  const listener = await server.listen(`${scheme}://127.0.0.1:0`);
  listeners.push(listener);
  return listener.uri;
}

describe.each(["coap", "coap+tcp"])("%s", (scheme) => {
  test("a text, bytes, an object, nothing, and a whole response", async () => {
    const uri = await serve(
      createServer()
        .get("/t", () => "22.5 °C")
        .get("/bytes", () => Uint8Array.of(1, 2))
        .get("/object", async () => ({ celsius: 22.5 }))
        .delete("/t", () => {})
        .post("/t", (request) => ({ code: 65, locationPath: ["t", "1"], payload: request.payload })),
      scheme,
    );
    const text = await coap.get(`${uri}/t`);
    expect([text.code, text.codeName, text.ok, text.contentFormat, text.text()]).toEqual([
      "2.05",
      "Content",
      true,
      0,
      "22.5 °C",
    ]);
    expect([...(await coap.get(`${uri}/bytes`)).payload]).toEqual([1, 2]);
    expect((await coap.get(`${uri}/object`)).json()).toEqual({ celsius: 22.5 });
    expect((await coap.delete(`${uri}/t`)).code).toBe("2.02");
    const created = await coap.post(`${uri}/t`, "new");
    expect([created.code, created.location, created.text()]).toEqual(["2.01", "/t/1", "new"]);
  });

  test("errors are responses", async () => {
    const uri = await serve(
      createServer().get("/t", () => "x"),
      scheme,
    );
    const missing = await coap.get(`${uri}/other`);
    expect([missing.code, missing.codeName, missing.ok]).toEqual(["4.04", "Not Found", false]);
    expect((await coap.put(`${uri}/t`, "y")).codeName).toBe("Method Not Allowed");
  });

  test("an observation shows the present state and each later one, until the loop is left", async () => {
    let celsius = 20;
    const server = createServer();
    const resource = server.observable("/t", () => String(celsius));
    const uri = await serve(server, scheme);
    const seen: string[] = [];
    for await (const state of coap.observe(`${uri}/t`)) {
      seen.push(state.text());
      if (seen.length === 3) break;
      celsius++;
      resource.changed();
    }
    expect(seen).toEqual(["20", "21", "22"]);
    expect((await coap.get(`${uri}/.well-known/core`)).text()).toBe("</t>;obs");
  });

  test("an observation ends with its signal", async () => {
    const server = createServer();
    server.observable("/t", () => "x");
    const uri = await serve(server, scheme);
    const controller = new AbortController();
    const seen: string[] = [];
    for await (const state of coap.observe(`${uri}/t`, { signal: controller.signal })) {
      seen.push(state.text());
      controller.abort();
    }
    expect(seen).toEqual(["x"]);
  });

  test("what cannot be observed is said after its state", async () => {
    const uri = await serve(
      createServer().get("/t", () => "x"),
      scheme,
    );
    const states = coap.observe(`${uri}/t`);
    expect((await states.next()).value.text()).toBe("x");
    await expect(states.next()).rejects.toMatchObject({ code: "NOT_OBSERVABLE" });
    expect(await states.next()).toEqual({ value: undefined, done: true });
  });

  test("an error ends an observation after it was shown", async () => {
    const uri = await serve(createServer(), scheme);
    const states = coap.observe(`${uri}/t`);
    expect((await states.next()).value.code).toBe("4.04");
    expect((await states.next()).done).toBe(true);
  });
});

test("a handler that throws is 5.00 and is reported", async () => {
  const error = vi.fn();
  const logger = { debug() {}, info() {}, warn() {}, error };
  const failing = createServer({ logger }).get("/t", () => {
    throw new Error("broken");
  });
  const uri = await serve(failing);
  expect((await coap.get(`${uri}/t`)).codeName).toBe("Internal Server Error");
  expect(error).toHaveBeenCalledWith("a request handler failed", expect.objectContaining({ path: ["t"] }));
});

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript callers may pass.
const junk = (value: unknown): any => value;

test.each([
  { name: "no URI", call: () => coap.get(junk(undefined)), message: "a URI is a string" },
  { name: "a number as URI", call: () => coap.get(junk(5)), message: "got 5" },
  { name: "text as options", call: () => coap.get("coap://h", junk("x")), message: "options are an object" },
  { name: "an unknown option", call: () => coap.get("coap://h", junk({ timeout: 1 })), message: 'got "timeout"' },
  {
    name: "a query that is text",
    call: () => coap.get("coap://h", junk({ query: "a=b" })),
    message: "query is an array",
  },
  { name: "a format below 0", call: () => coap.get("coap://h", { accept: -1 }), message: "accept is a Content-Format" },
  { name: "a time-out of 0", call: () => coap.get("coap://h", { timeoutMs: 0 }), message: "timeoutMs" },
  { name: "a signal that is none", call: () => coap.get("coap://h", junk({ signal: {} })), message: "AbortSignal" },
  { name: "a number as body", call: () => coap.put("coap://h", junk(5)), message: "a body is a string" },
  {
    name: "a function as body",
    call: () =>
      coap.put(
        "coap://h",
        junk(() => 1),
      ),
    message: "a body is a string",
  },
  { name: "a circle as body", call: () => coap.put("coap://h", circle()), message: "cannot be written" },
  { name: "observing nothing", call: async () => coap.observe(junk(null)), message: "a URI is a string" },
  { name: "a path without slash", call: async () => createServer().get("t", () => "x"), message: "a path is a string" },
  {
    name: "no handler",
    call: async () => createServer().get("/t", junk(undefined)),
    message: "a handler is a function",
  },
  { name: "listening at a number", call: async () => createServer().listen(junk(5683)), message: "a URI is a string" },
  { name: "text as settings", call: async () => createServer(junk("x")), message: "options are an object" },
])("$name is an error of this package", async ({ call, message }) => {
  await expect(call()).rejects.toMatchObject({ name: "TransportError", code: "BAD_ARGUMENT" });
  await expect(call()).rejects.toThrow(message);
});

function circle(): { self?: unknown } {
  const body: { self?: unknown } = {};
  body.self = body;
  return body;
}
