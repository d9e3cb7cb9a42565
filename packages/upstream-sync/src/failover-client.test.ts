import {
  type ClientRequest,
  type ClientResponse,
  CODE,
  type CoapClient,
  METHOD,
  type ObservationListener,
  TransportError,
} from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { failoverClient } from "./failover-client.js";

const ONE = "coap://[2001:db8::1]";
const TWO = "coap://[2001:db8::2]";
const THREE = "coap://rd3.example:5684";

/** Answers at the origins that are up; keeps what it was asked. */
class Servers implements CoapClient {
  readonly asked: string[] = [];
  readonly failures = new Map<string, TransportError>();
  readonly listeners: ObservationListener[] = [];

  request({ uri }: ClientRequest): Promise<ClientResponse> {
    this.asked.push(uri);
    const failure = this.failures.get(new URL(uri.replace(/^coap(\+tcp)?:/, "http:")).host);
    return failure === undefined ? Promise.resolve({ code: CODE.CONTENT } as ClientResponse) : Promise.reject(failure);
  }

  observe({ uri }: ClientRequest, listener: ObservationListener) {
    this.asked.push(uri);
    this.listeners.push(listener);
    return { refresh() {}, close: () => Promise.resolve(), cancel() {} };
  }

  ping(uri: string): Promise<boolean> {
    this.asked.push(uri);
    return Promise.resolve(!this.failures.has(new URL(uri.replace("coap:", "http:")).host));
  }

  close(): Promise<void> {
    return Promise.reject(new Error("the shared client was closed"));
  }
}

function open() {
  const servers = new Servers();
  const moves: string[] = [];
  const client = failoverClient(servers, [ONE, TWO, THREE], ({ from, to }) => moves.push(`${from} ${to}`));
  const get = (path: string, method: number = METHOD.GET) => client.request({ method, uri: `${ONE}${path}` });
  return { servers, moves, client, get };
}

const failure = (code: "TIMEOUT" | "UNREACHABLE" | "RESET" | "ABORTED" | "TOO_LARGE") => new TransportError(code, code);

describe("an RD with several addresses", () => {
  test("is asked at the first one as long as that answers", async () => {
    const { servers, moves, get } = open();
    await get("/a?x");
    expect([servers.asked, moves]).toEqual([[`${ONE}/a?x`], []]);
  });

  test("a GET that is refused is repeated at the next one, which stays in use for everything", async () => {
    const { servers, moves, client, get } = open();
    servers.failures.set("[2001:db8::1]", failure("UNREACHABLE"));
    expect((await get("/a")).code).toBe(CODE.CONTENT);
    await get("/b");
    await client.ping(ONE);
    client.observe({ method: METHOD.GET, uri: `${ONE}/c` }, { onNotification() {}, onEnd() {} });
    expect(servers.asked).toEqual([`${ONE}/a`, `${TWO}/a`, `${TWO}/b`, TWO, `${TWO}/c`]);
    expect(moves).toEqual([`${ONE} ${TWO}`]);
  });

  test("where all refuse, the error is that of the last, and the first is next", async () => {
    const { servers, get } = open();
    for (const host of ["[2001:db8::1]", "[2001:db8::2]", "rd3.example:5684"])
      servers.failures.set(host, failure("UNREACHABLE"));
    await expect(get("/a")).rejects.toMatchObject({ code: "UNREACHABLE" });
    servers.failures.clear();
    await get("/b");
    expect(servers.asked).toEqual([`${ONE}/a`, `${TWO}/a`, `${THREE}/a`, `${ONE}/b`]);
  });

  test.each(["TIMEOUT", "RESET"] as const)("%s is not repeated, but the next request goes elsewhere", async (code) => {
    const { servers, get } = open();
    servers.failures.set("[2001:db8::1]", failure(code));
    await expect(get("/a")).rejects.toMatchObject({ code });
    await get("/b");
    expect(servers.asked).toEqual([`${ONE}/a`, `${TWO}/b`]);
  });

  test("what changes something is not repeated", async () => {
    const { servers, get } = open();
    servers.failures.set("[2001:db8::1]", failure("UNREACHABLE"));
    await expect(get("/a", METHOD.POST)).rejects.toMatchObject({ code: "UNREACHABLE" });
    expect(servers.asked).toEqual([`${ONE}/a`]);
  });

  test.each(["ABORTED", "TOO_LARGE"] as const)("%s says nothing about the address", async (code) => {
    const { servers, moves, get } = open();
    servers.failures.set("[2001:db8::1]", failure(code));
    await expect(get("/a")).rejects.toMatchObject({ code });
    expect(moves).toEqual([]);
  });

  test("several failures at one address are one move", async () => {
    const { servers, moves, get } = open();
    servers.failures.set("[2001:db8::1]", failure("TIMEOUT"));
    await Promise.allSettled([get("/a"), get("/b"), get("/c")]);
    expect(moves).toEqual([`${ONE} ${TWO}`]);
  });

  test("an observation that ends with an error moves it, and others do not", () => {
    const { servers, moves, client } = open();
    const ends: unknown[] = [];
    const observe = () =>
      client.observe(
        { method: METHOD.GET, uri: `${ONE}/a` },
        { onNotification() {}, onEnd: (reason) => ends.push(reason) },
      );
    observe();
    servers.listeners[0]?.onEnd("error-response");
    expect(moves).toEqual([]);
    observe();
    servers.listeners[1]?.onEnd(failure("TIMEOUT"));
    expect([moves, ends.length]).toEqual([[`${ONE} ${TWO}`], 2]);
  });

  test("the same host over TCP moves along, and other hosts are left alone", async () => {
    const { servers, client, get } = open();
    servers.failures.set("[2001:db8::1]", failure("TIMEOUT"));
    await get("/a").catch(() => {});
    await client.request({ method: METHOD.GET, uri: "coap+tcp://[2001:db8::1]/b" });
    await client.request({ method: METHOD.GET, uri: "coap://[2001:db8::9]/c" });
    expect(servers.asked.slice(1)).toEqual(["coap+tcp://[2001:db8::2]/b", "coap://[2001:db8::9]/c"]);
  });

  test("an unanswered ping moves it, and closing leaves the shared client open", async () => {
    const { servers, moves, client } = open();
    servers.failures.set("[2001:db8::1]", failure("TIMEOUT"));
    expect(await client.ping(ONE)).toBe(false);
    expect(moves).toHaveLength(1);
    await client.close();
  });
});
