import { runCli } from "@tributary/cli";
import { coap } from "@tributary/coap-transport";
import { type Explanation, type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeIo } from "./fake-node.js";

const nodes: RunningNode[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
});

async function start(config: object): Promise<RunningNode> {
  const common = { listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0" };
  const node = await startNode({ ...common, ...config } as never, { logger: silentLogger });
  nodes.push(node);
  return node;
}

async function register(rd: RunningNode, query: string, links = '</t>;rt="temp"'): Promise<string> {
  const response = await coap.post(`${rd.uris[0]}/rd?${query}`, links, { contentFormat: 40 });
  expect(response.code).toMatch(/^2\./);
  return `${rd.uris[0]}${response.location}`;
}

async function run(...args: string[]): Promise<{ status: number; text: string; errors: string }> {
  const io = new FakeIo();
  const status = await runCli(args, io);
  return { status, text: io.lines.join("\n"), errors: io.errors.join("\n") };
}

/** Asks until the answer is as it should be: changes need a moment to reach the proxy. */
async function eventually<T>(read: () => Promise<T>, isDone: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (isDone(value)) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

let one: RunningNode;
let two: RunningNode;
let lp: RunningNode;

beforeEach(async () => {
  one = await start({ name: "rd-a", registration: {} });
  two = await start({ name: "rd-b", registration: {} });
  const upstreams = [
    { name: "rd-a", uri: one.uris[0] },
    { name: "rd-b", uri: two.uris[0] },
  ];
  lp = await start({ name: "lp", lookup: { upstreams, timeout: "500ms" } });
});

const explain = async (query: string): Promise<Explanation> =>
  (await (await fetch(`${lp.httpUri}/api/why?${query}`)).json()) as Explanation;

describe("tributary why", () => {
  const why = (...criteria: string[]) => run("why", ...criteria, "--at", lp.httpUri ?? "", "--timeout", "1");

  test("an endpoint at one RD: shown, and every upstream says what it has", async () => {
    const href = await register(one, "ep=lamp7&d=hall");
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 1,
    );
    const { status, text } = await why("ep=lamp7");
    expect(status).toBe(0);
    expect(text).toMatch(
      new RegExp(`shown +lamp7, sector hall +${href} at rd-a .*the only registration that is known`),
    );
    expect(text).toMatch(new RegExp(`rd-a +live +its copy has the endpoint +${href}`));
    expect(text).toMatch(/rd-b +live +its copy is complete, and it has no such endpoint +no such endpoint/);
    expect(text).toMatch(new RegExp(`registered ${href} at rd-a$`, "m"));
  });

  test("one that moved: which registration is hidden, and by what", async () => {
    const old = await register(one, "ep=lamp7");
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 1,
    );
    const now = await register(two, "ep=lamp7");
    const found = await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 2,
    );
    expect(found.registrations.map(({ href, state }) => [href, state])).toEqual([
      [now, "visible"],
      [old, "superseded"],
    ]);
    const { text } = await why("ep=lamp7");
    expect(text).toMatch(new RegExp(`hidden +lamp7 +${old} at rd-a .* before the one at ${now}`));
    expect(text).toContain(`superseded ${now} at rd-b, instead of ${old} at rd-a`);
  });

  test("during an outage: stale, and who is not reached", async () => {
    await register(one, "ep=lamp7");
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 1,
    );
    await nodes.splice(nodes.indexOf(one), 1)[0]?.close();
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations[0]?.state === "stale",
    );
    const { status, text } = await why("ep=lamp7");
    expect(status).toBe(0);
    expect(text).toContain("its RD is not reached, so it is shown until its lifetime ends");
    expect(text).toMatch(/rd-a +(?!live)\S+ +not reached.*its copy may be out of date +(no answer|nothing answers)/);
  });

  test("one that was removed, and one that nobody knows", async () => {
    const href = await register(one, "ep=lamp7");
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 1,
    );
    await coap.delete(href);
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 0,
    );
    const gone = await why("ep=lamp7");
    expect(gone.status).toBe(1);
    expect(gone.text).toMatch(/knows no registration of lamp7/);
    expect(gone.text).toMatch(/removed \S+ at rd-a$/m);
    const unknown = await why("ep=nobody");
    expect([unknown.status, unknown.text]).toEqual([1, expect.not.stringContaining("registered")]);
  });

  test("d= is the endpoint without a sector", async () => {
    await register(one, "ep=lamp7&d=hall");
    await register(one, "ep=lamp7");
    await eventually(
      () => explain("ep=lamp7"),
      ({ registrations }) => registrations.length === 2,
    );
    expect((await explain("ep=lamp7&d=")).registrations.map(({ d }) => d)).toEqual([undefined]);
    expect((await explain("ep=lamp7&d=hall")).registrations.map(({ d }) => d)).toEqual(["hall"]);
  });

  test.each([
    [["lamp7"], '"lamp7" does not say which endpoint'],
    [["d=hall"], "say which endpoint"],
    [["ep=a", "ep=b"], '"ep=b" does not say'],
    [["ep=a", "rt=x"], '"rt=x" does not say'],
  ])("%j is status 2", async (criteria, message) => {
    const { status, errors } = await why(...criteria);
    expect([status, errors]).toEqual([2, expect.stringContaining(message)]);
  });
});

test("filters: an upstream whose copy does not include the endpoint says so", async () => {
  await register(one, "ep=lamp7&d=hall");
  const upstreams = [{ name: "rd-a", uri: one.uris[0], filters: ["d=cellar"] }];
  lp = await start({ name: "filtered", lookup: { upstreams } });
  const { upstreams: found } = await eventually(
    () => explain("ep=lamp7&d=hall"),
    (value) => value.upstreams[0]?.phase === "live",
  );
  expect(found[0]?.reason).toBe("its copy does not include this endpoint (filters, or mode auto)");
});

test.each(["ep=", "", "ep=a&x=1"])("/api/why?%s is refused", async (query) => {
  expect((await fetch(`${lp.httpUri}/api/why?${query}`)).status).toBe(400);
});

describe("/api/events", () => {
  test("as JSON: those of an endpoint, from one id on", async () => {
    await register(one, "ep=lamp7");
    await register(one, "ep=other");
    await eventually(
      () => explain("ep=other"),
      ({ registrations }) => registrations.length === 1,
    );
    const read = async (query: string) =>
      (await (await fetch(`${lp.httpUri}/api/events?${query}`)).json()) as {
        events: { id: number; kind: string }[];
        last: number;
      };
    const { events, last } = await read("ep=lamp7");
    expect(events).toMatchObject([{ kind: "registered", ep: "lamp7", source: "rd-a" }]);
    expect((await read(`ep=lamp7&after=${events[0]?.id}`)).events).toEqual([]);
    expect((await read("limit=1")).events).toMatchObject([{ id: last }]);
    expect((await fetch(`${lp.httpUri}/api/events?limit=0`)).status).toBe(400);
  });

  test("as server-sent events while they happen, resumed after the last one", async () => {
    const read = async (headers: Record<string, string>, wanted: RegExp): Promise<string> => {
      const stop = new AbortController();
      const response = await fetch(`${lp.httpUri}/api/events?ep=lamp7`, {
        headers: { accept: "text/event-stream", ...headers },
        signal: stop.signal,
      });
      let text = "";
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk).toString();
        if (text.startsWith(": events") && text.length < 40) await register(one, "ep=lamp7");
        if (wanted.test(text)) break;
      }
      stop.abort();
      return text;
    };
    const text = await read({}, /event: registered\ndata: .*\n\n/);
    expect(text).toMatch(/^id: \d+\nevent: registered\ndata: \{.*"ep":"lamp7".*\}$/m);
    const again = await read({ "last-event-id": "1" }, /event: registered\ndata: .*\n\n/);
    expect(again).toContain('"ep":"lamp7"');
  });
});

describe("tributary diff and the digest", () => {
  const digestOf = (node: RunningNode): string => node.status().digest;

  test("two proxies that follow the same RDs in different ways agree", async () => {
    await register(one, "ep=lamp1&et=lamp");
    await register(two, "ep=lamp2&d=hall", '</t>;rt="temp";obs,</u>');
    const upstreams = [
      { name: "second", uri: two.uris[0] },
      { name: "first", uri: one.uris[0] },
    ];
    const other = await start({ name: "lp2", lookup: { upstreams } });
    await eventually(
      async () => [digestOf(lp), digestOf(other)],
      ([a, b]) => a === b && lp.directory.counts().visible === 2,
    );
    const { status, text } = await run("diff", lp.uris[0] ?? "", other.httpUri ?? "");
    expect([status, text]).toEqual([0, "no difference: 5 links"]);
  });

  test("what only one of them shows is printed, and their digests differ", async () => {
    await register(one, "ep=lamp1&base=coap://[2001:db8::1]");
    await eventually(
      async () => lp.directory.counts().visible,
      (count) => count === 1,
    );
    expect(digestOf(lp)).not.toBe(digestOf(two));
    const { status, text } = await run("diff", lp.uris[0] ?? "", two.uris[0] ?? "");
    expect(status).toBe(1);
    expect(text.split("\n")).toEqual([
      expect.stringMatching(/^< <\/reg\/[^>]+>;base="coap:\/\/\[2001:db8::1\]";ep="?lamp1"?;rt="core.rd-ep"$/),
      '< <coap://[2001:db8::1]/t>;rt="temp"',
    ]);
    expect((await run("diff", lp.uris[0] ?? "", two.uris[0] ?? "", "ep=none")).status).toBe(0);
  });

  test("a server that does not answer is status 3", async () => {
    const [gone] = nodes.splice(nodes.indexOf(two), 1);
    await gone?.close();
    const { status, errors } = await run("diff", lp.uris[0] ?? "", two.uris[0] ?? "", "--timeout", "1");
    expect([status, errors]).toEqual([3, expect.stringMatching(/nothing answers at|no answer from/)]);
  });
});
