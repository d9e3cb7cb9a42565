import {
  type ClientRequest,
  type ClientResponse,
  CODE,
  type CoapClient,
  type ObservationControl,
  type ObservationListener,
  TransportError,
} from "@tributary/coap-transport";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeIo } from "../../../../test/cli/fake-node.js";
import { UsageError } from "../command-io.js";
import { type LookupCommandOptions, runLookup } from "./lookup.js";

const DISCOVERY = '</rd-lookup/ep>;rt="core.rd-lookup-ep";ct=40,</rd-lookup/res>;rt="core.rd-lookup-res";ct=40';

type Answer = string | Partial<ClientResponse> | TransportError;

function response(answer: Exclude<Answer, TransportError>): ClientResponse {
  const partial = typeof answer === "string" ? { payload: new TextEncoder().encode(answer) } : answer;
  return {
    code: CODE.CONTENT,
    contentFormat: 40,
    maxAgeS: 60,
    locationPath: [],
    locationQuery: [],
    options: [],
    payload: new Uint8Array(),
    peer: { key: "x", transport: "udp", address: "::1", port: 5683 },
    wireBytes: 0,
    ...partial,
  };
}

/** Answers by URI and query, and keeps what was asked. */
class FakeClient implements CoapClient {
  readonly asked: string[] = [];
  readonly answers = new Map<string, Answer>();
  listener: ObservationListener | null = null;
  control: ObservationControl | undefined;
  isClosed = false;

  request({ uri, query = [] }: ClientRequest): Promise<ClientResponse> {
    const key = query.length === 0 ? uri : `${uri}?${query.join("&")}`;
    this.asked.push(key);
    const answer = this.answers.get(key) ?? { code: CODE.NOT_FOUND, payload: new Uint8Array() };
    return answer instanceof TransportError ? Promise.reject(answer) : Promise.resolve(response(answer));
  }

  observe(_request: ClientRequest, listener: ObservationListener, control?: ObservationControl) {
    this.listener = listener;
    this.control = control;
    return {
      refresh() {},
      close: () => {
        this.isClosed = true;
        return Promise.resolve();
      },
      cancel() {},
    };
  }

  ping(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

let client: FakeClient;
let io: FakeIo;

beforeEach(() => {
  client = new FakeClient();
  client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", DISCOVERY);
  io = new FakeIo();
  found = [];
  searched = [];
});

/** What answers to multicast, and what was searched. */
let found: string[];
let searched: string[];

/** Without `--at`. */
function runAnywhere(): Promise<number> {
  const { at: _, ...options } = { kind: "ep", criteria: [], at: "", json: false, watch: false, timeout: 10 } as const;
  return runLookup(options, { client, io, search });
}

function search(resourceType: string): Promise<string[]> {
  searched.push(resourceType);
  return Promise.resolve(found);
}

function run(overrides: Partial<LookupCommandOptions> = {}): Promise<number> {
  const options = {
    kind: "ep",
    criteria: [],
    at: "coap://localhost",
    json: false,
    watch: false,
    timeout: 10,
    ...overrides,
  } as const;
  return runLookup(options, { client, io, search });
}

describe("a message is about the server that was asked", () => {
  const elsewhere = '<coap://lp.example/rd-lookup/ep>;rt="core.rd-lookup-ep"';

  test.each([
    { name: "silent", error: new TransportError("TIMEOUT", "no answer in 10 s"), want: "which does not answer" },
    {
      name: "not there",
      error: new TransportError("UNREACHABLE", "ECONNREFUSED"),
      want: "which cannot be asked: ECONNREFUSED",
    },
  ])("the one that the other names is $name", async ({ error, want }) => {
    client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", elsewhere);
    client.answers.set("coap://lp.example/rd-lookup/ep", error);
    expect(await run()).toBe(1);
    expect(io.errors).toEqual([`tributary: coap://localhost sends lookups to coap://lp.example, ${want}`]);
  });

  test("the one of --at does not answer", async () => {
    client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", new TransportError("TIMEOUT", "x"));
    expect(await run()).toBe(1);
    expect(io.errors).toEqual(["tributary: no answer from coap://localhost; is it running, and is --at right?"]);
  });
});

describe("without --at", () => {
  const nobody = new TransportError("UNREACHABLE", "ECONNREFUSED");

  test("this machine is asked where something listens", async () => {
    client.answers.set("coap://localhost/rd-lookup/ep", '</reg/1>;ep="here"');
    expect(await runAnywhere()).toBe(0);
    expect([io.lines, searched]).toEqual([['</reg/1>;ep="here"'], []]);
  });

  test("else a server found by multicast (RFC 9176 section 4.1)", async () => {
    client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", nobody);
    client.answers.set("coap://[fe80::1%25eth0]/.well-known/core?rt=core.rd-lookup*", DISCOVERY);
    client.answers.set("coap://[fe80::1%25eth0]/rd-lookup/ep", '</reg/1>;ep="there"');
    found = ["coap://[fe80::1%25eth0]"];
    expect(await runAnywhere()).toBe(0);
    expect([io.lines, searched]).toEqual([['</reg/1>;ep="there"'], ["core.rd-lookup-ep"]]);
  });

  test("a message says that nobody is there", async () => {
    client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", nobody);
    expect(await runAnywhere()).toBe(1);
    expect(io.errors.join()).toContain("multicast");
  });
});

describe("one lookup", () => {
  test("discovers the path and prints one link a line", async () => {
    client.answers.set(
      "coap://localhost/rd-lookup/ep?ep=lamp*&d=x",
      '</reg/1>;ep="lamp1";d="x",</reg/2>;ep="lamp2";d="x"',
    );
    expect(await run({ criteria: ["ep=lamp*", "d=x"] })).toBe(0);
    expect(io.lines).toEqual(['</reg/1>;ep="lamp1";d="x"', '</reg/2>;ep="lamp2";d="x"']);
  });

  test("JSON is an array of target and attributes", async () => {
    client.answers.set("coap://localhost/rd-lookup/res", '<coap://h/t>;if="a";et="1";et="2";obs');
    expect(await run({ kind: "res", json: true })).toBe(0);
    expect(JSON.parse(io.lines.join("\n"))).toEqual([
      { target: "coap://h/t", attributes: { if: "a", et: ["1", "2"], obs: true } },
    ]);
  });

  test("nothing found prints nothing, or an empty array", async () => {
    client.answers.set("coap://localhost/rd-lookup/ep", "");
    expect([await run(), await run({ json: true }), io.lines]).toEqual([0, 0, ["[]"]]);
  });

  test("DIS-11 a lookup on another host is followed", async () => {
    client.answers.set(
      "coap://localhost/.well-known/core?rt=core.rd-lookup*",
      '<coap://[2001:db8:23::2]/x/ep/>;rt="core.rd-lookup-ep"',
    );
    client.answers.set("coap://[2001:db8:23::2]/x/ep/", '</reg/1>;ep="a"');
    expect(await run()).toBe(0);
  });

  test("a server that does not filter is asked for everything", async () => {
    client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", { code: CODE.BAD_REQUEST });
    client.answers.set("coap://localhost/.well-known/core", DISCOVERY);
    client.answers.set("coap://localhost/rd-lookup/ep", '</reg/1>;ep="a"');
    expect(await run()).toBe(0);
  });
});

describe("failures end with status 1 and say why", () => {
  test.each([
    {
      name: "silence",
      path: ".well-known/core?rt=core.rd-lookup*",
      answer: new TransportError("TIMEOUT", "no answer"),
      want: "no answer from coap://localhost; is it running, and is --at right?",
    },
    {
      name: "nobody listens",
      path: ".well-known/core?rt=core.rd-lookup*",
      answer: new TransportError("UNREACHABLE", "connection refused"),
      want: "nothing answers at coap://localhost: connection refused",
    },
    {
      name: "an error code with a diagnostic",
      path: "rd-lookup/ep",
      answer: {
        code: CODE.GATEWAY_TIMEOUT,
        contentFormat: 0,
        payload: new TextEncoder().encode("no upstream\u001b[2J"),
      },
      want: "coap://localhost/rd-lookup/ep answers 5.04: no upstream [2J",
    },
    {
      name: "another format",
      path: "rd-lookup/ep",
      answer: { contentFormat: 50 },
      want: "the response 2.05 is not in link format but in format 50",
    },
  ] as const)("$name", async ({ path, answer, want }) => {
    client.answers.set(`coap://localhost/${path}`, answer);
    expect([await run(), io.errors]).toEqual([1, [`tributary: ${want}`]]);
  });

  test("a server without lookup is distinguished from one that is down", async () => {
    client.answers.set("coap://localhost/.well-known/core?rt=core.rd-lookup*", "");
    client.answers.set("coap://localhost/.well-known/core", "</hello>");
    expect([await run(), io.errors[0]]).toEqual([
      1,
      "tributary: coap://localhost advertises no core.rd-lookup-ep: it is not an RD or lookup proxy",
    ]);
  });

  test.each([
    { name: "at without scheme", options: { at: "localhost:5683" } },
    { name: "at with a path", options: { at: "coap://localhost/rd-lookup/ep" } },
    { name: "criterion without name", options: { criteria: ["=x"] } },
  ])("wrong command line: $name", async ({ options }) => {
    await expect(run(options)).rejects.toThrow(UsageError);
  });
});

describe("--watch", () => {
  async function watch(json = false): Promise<{ done: Promise<number>; listener: ObservationListener }> {
    const done = run({ watch: true, json });
    while (client.listener === null) await Promise.resolve();
    return { done, listener: client.listener };
  }

  test("prints what comes and goes until interrupted", async () => {
    const { done, listener } = await watch();
    listener.onNotification(response('</reg/1>;ep="a",</reg/2>;ep="b"'));
    listener.onNotification(response('</reg/2>;ep="b",</reg/1>;ep="a"'));
    listener.onNotification(response('</reg/2>;ep="b",</reg/3>;ep="c"'));
    io.stop();
    expect(await done).toBe(0);
    expect(io.lines).toEqual(['+ </reg/1>;ep="a"', '+ </reg/2>;ep="b"', '- </reg/1>;ep="a"', '+ </reg/3>;ep="c"']);
    expect(client.isClosed).toBe(true);
  });

  test("JSON has one object for each change", async () => {
    const { done, listener } = await watch(true);
    listener.onNotification(response('</reg/1>;ep="a"'));
    listener.onNotification(response('</reg/1>;ep="a"'));
    listener.onNotification(response(""));
    io.stop();
    await done;
    const link = { target: "/reg/1", attributes: { ep: "a" } };
    expect(io.lines.map((line) => JSON.parse(line))).toEqual([
      { added: [link], removed: [] },
      { added: [], removed: [link] },
    ]);
  });

  test("the registration is kept alive; a 2.03 that confirms it prints nothing", async () => {
    const { done, listener } = await watch();
    expect(client.control).toEqual({ timeoutMs: 10_000, keepAlive: true });
    const etag = Uint8Array.of(1, 2);
    listener.onNotification(response({ payload: new TextEncoder().encode('</reg/1>;ep="a"'), etag }));
    listener.onNotification(response({ code: CODE.VALID, etag }));
    expect(io.lines).toEqual(['+ </reg/1>;ep="a"']);
    io.stop();
    expect(await done).toBe(0);
  });

  test.each([
    {
      name: "not observable",
      reason: "not-observable",
      want: "coap://localhost/rd-lookup/ep cannot be observed; leave out --watch",
    },
    {
      name: "silence",
      reason: new TransportError("TIMEOUT", "x"),
      want: "no answer from coap://localhost; is it running, and is --at right?",
    },
  ] as const)("$name ends it with status 1", async ({ reason, want }) => {
    const { done, listener } = await watch();
    listener.onEnd(reason);
    expect([await done, io.errors]).toEqual([1, [`tributary: ${want}`]]);
  });

  test("an error notification ends it with status 1", async () => {
    const { done, listener } = await watch();
    listener.onNotification(response({ code: CODE.UNAVAILABLE }));
    expect([await done, io.errors]).toEqual([1, ["tributary: coap://localhost/rd-lookup/ep answers 5.03"]]);
  });
});
