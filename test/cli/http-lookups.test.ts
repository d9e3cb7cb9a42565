import { coap, createServer as createCoapServer } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MODES } from "../modes/promises.js";

const ANYWHERE = { listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0" };
const nodes: RunningNode[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
});

async function start(config: object): Promise<RunningNode> {
  const node = await startNode({ ...ANYWHERE, ...config } as never, { logger: silentLogger });
  nodes.push(node);
  return node;
}

async function register(rd: RunningNode, query: string, links: string): Promise<void> {
  const response = await coap.post(`${rd.uris[0]}/rd?${query}`, links, { contentFormat: 40 });
  expect(response.code).toBe("2.01");
}

function ask(node: RunningNode, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${node.httpUri}/rd-lookup/${path}`, { headers });
}

async function until<T>(read: () => Promise<T>, isDone: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (isDone(value)) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("at an RD", () => {
  let rd: RunningNode;

  beforeEach(async () => {
    rd = await start({ name: "rd-a", registration: {} });
    await register(
      rd,
      "ep=lamp1&d=hall&base=coap://[2001:db8::1]",
      '</l>;rt="light";ct="40 0",</t>;rt="temp";title="Über"',
    );
    await register(rd, "ep=lamp2&base=coap://[2001:db8::2]", '</l>;rt="light";obs');
  });

  test("link format, with registrations by full URI", async () => {
    const response = await ask(rd, "ep?ep=lamp1");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/link-format"]);
    expect(await response.text()).toMatch(
      new RegExp(`^<${rd.uris[0]}/reg/[^>]+>;ep="?lamp1"?;d="?hall"?;base="coap://\\[2001:db8::1\\]";rt="core.rd-ep"$`),
    );
  });

  test("the full URI of a registration finds it", async () => {
    const [found] = (await (await ask(rd, "ep?ep=lamp2", { accept: "application/json" })).json()) as {
      target: string;
    }[];
    const again = await ask(rd, `res?href=${found?.target}`, { accept: "application/json" });
    expect(await again.json()).toEqual([{ target: "coap://[2001:db8::2]/l", attributes: { rt: "light", obs: true } }]);
  });

  test("provenance is a full URI", async () => {
    const [found] = (await (await ask(rd, "res?ep=lamp2&provenance", { accept: "application/json" })).json()) as {
      attributes: { provenance: string };
    }[];
    expect(found?.attributes.provenance).toMatch(new RegExp(`^${rd.uris[0]}/reg/`));
  });

  test.each([
    ["application/linkset+json", /^\{"linkset":\[\{"anchor":"coap:\/\/\[2001:db8::2\]/],
    ["application/linkset", /^<coap:\/\/\[2001:db8::2\]\/l>;/],
    ["application/json;q=0.5, text/html", /^\[\n\{"target":"coap:\/\/\[2001:db8::2\]\/l"/],
    ["*/*", /^<coap:\/\/\[2001:db8::2\]\/l>;/],
  ])("Accept %s", async (accept, body) => {
    const response = await ask(rd, "res?ep=lamp2", { accept });
    expect([response.status, await response.text()]).toEqual([200, expect.stringMatching(body)]);
    expect(response.headers.get("vary")).toContain("Accept");
  });

  test("nothing found is an empty document in each format", async () => {
    const bodies = ["application/link-format", "application/linkset+json", "application/json"].map(async (accept) =>
      (await ask(rd, "res?ep=none", { accept })).text(),
    );
    expect(await Promise.all(bodies)).toEqual(["", '{"linkset":[]}', "[]\n"]);
  });

  test("names of attributes never become properties", async () => {
    await register(rd, "ep=odd&base=coap://[2001:db8::3]", "</o>;__proto__=x;constructor=y");
    const response = await ask(rd, "res?ep=odd", { accept: "application/json" });
    expect(await response.text()).toContain('{"__proto__":"x","constructor":"y"}');
  });

  test("an entity tag is answered with 304, until the directory changes", async () => {
    const first = await ask(rd, "ep?rt=light");
    const tag = first.headers.get("etag") ?? "";
    const second = await ask(rd, "ep?rt=light", { "if-none-match": `"x", W/${tag}` });
    expect([second.status, await second.text(), second.headers.get("etag")]).toEqual([304, "", tag]);
    expect(first.headers.get("cache-control")).toMatch(/^max-age=\d+$/);
    await register(rd, "ep=lamp3&base=coap://[2001:db8::3]", '</l>;rt="light"');
    expect((await ask(rd, "ep?rt=light", { "if-none-match": tag })).status).toBe(200);
  });

  test("pages have links to their neighbours", async () => {
    const links = async (query: string) => (await ask(rd, `ep?${query}`)).headers.get("link");
    expect(await links("count=1")).toBe('<?count=1&page=1>; rel="next"');
    expect(await links("rt=li*&page=1&count=1")).toBe(
      '<?rt=li*&count=1&page=0>; rel="first", <?rt=li*&count=1&page=0>; rel="prev", <?rt=li*&count=1&page=2>; rel="next"',
    );
    expect(await links("count=1&page=2")).toBe('<?count=1&page=0>; rel="first", <?count=1&page=1>; rel="prev"');
    expect(await links("ep=lamp1")).toBeNull();
  });

  test.each([
    ["ep?page=1", 400, "count"],
    ["ep?count=x", 400, "count"],
    ["ep?ep=%zz", 400, "percent-encoding"],
  ])("%s is %d", async (path, status, reason) => {
    const response = await ask(rd, path);
    expect([response.status, await response.json()]).toEqual([status, { error: expect.stringContaining(reason) }]);
  });

  test("another format is 406 and says what there is", async () => {
    const response = await ask(rd, "ep", { accept: "text/html" });
    expect([response.status, await response.text()]).toEqual([
      406,
      expect.stringContaining("application/linkset+json"),
    ]);
  });

  test("a plus sign is one", async () => {
    await register(rd, "ep=a%2Bb&base=coap://[2001:db8::4]", "</x>");
    const found = await (await ask(rd, "ep?ep=a+b", { accept: "application/json" })).json();
    expect(found).toHaveLength(1);
  });

  test("HEAD has the header fields alone", async () => {
    const response = await fetch(`${rd.httpUri}/rd-lookup/ep`, { method: "HEAD" });
    expect([response.status, response.headers.get("etag")]).toEqual([200, expect.stringMatching(/^"[0-9a-f]+"$/)]);
  });

  test("other origins get nothing", async () => {
    const response = await ask(rd, "ep", { origin: "https://dash.example.com" });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    expect((await fetch(`${rd.httpUri}/rd-lookup/ep`, { method: "OPTIONS" })).status).toBe(405);
  });
});

test("http-origins lets scripts of those pages read", async () => {
  const rd = await start({ name: "rd-a", registration: {}, "http-origins": ["https://dash.example.com"] });
  const allowed = async (origin: string, method = "GET") => {
    const response = await fetch(`${rd.httpUri}/rd-lookup/ep`, { method, headers: { origin } });
    return [response.status, response.headers.get("access-control-allow-origin"), response.headers.get("vary")];
  };
  expect(await allowed("https://dash.example.com")).toEqual([200, "https://dash.example.com", "Origin, Accept"]);
  expect(await allowed("https://dash.example.com", "OPTIONS")).toEqual([204, "https://dash.example.com", "Origin"]);
  expect(await allowed("https://evil.example.com")).toEqual([200, null, "Origin, Accept"]);
  expect((await allowed("https://evil.example.com", "OPTIONS"))[0]).toBe(405);
});

const CASES = MODES.flatMap((mode) => [false, true].map((isCoHosted) => ({ mode, isCoHosted })));

test.each(CASES)(
  "at a proxy in mode $mode, co-hosted $isCoHosted: the same registrations",
  async ({ mode, isCoHosted }) => {
    const rd = await start({ name: "rd-a", registration: {} });
    await register(rd, "ep=lamp1&d=hall&base=coap://[2001:db8::1]", '</l>;rt="light"');
    const settings = mode === "filters" ? { filters: ["d=hall"] } : { mode };
    const upstreams = [{ name: "rd-a", uri: rd.uris[0], ...settings }];
    const lp = await start({ name: "lp", lookup: { upstreams }, ...(isCoHosted ? { registration: {} } : {}) });
    const read = async (path: string) => (await ask(lp, path, { accept: "application/json" })).json();
    const found = (await until(
      () => read("ep?d=hall"),
      (value) => Array.isArray(value) && value.length === 1,
    )) as { target: string }[];
    expect(found[0]?.target).toMatch(new RegExp(`^${rd.uris[0]}/reg/`));
    expect(await read("res?d=hall")).toEqual([{ target: "coap://[2001:db8::1]/l", attributes: { rt: "light" } }]);
  },
);

test("a partial result names what is missing, and is not kept for long", async () => {
  const rd = await start({ name: "rd-a", registration: {} });
  await register(rd, "ep=lamp1&base=coap://[2001:db8::1]", "</l>");
  // An address at which nothing listens.
  const gone = await createCoapServer().listen("coap://127.0.0.1:0");
  const uri = gone.uri;
  await gone.close();
  const upstreams = [
    { name: "rd-a", uri: rd.uris[0] },
    { name: "rd-b", uri },
  ];
  const lp = await start({ name: "lp", lookup: { upstreams, timeout: "200ms" } });
  const response = await until(
    () => ask(lp, "ep"),
    ({ status }) => status === 200,
  );
  expect(response.headers.get("tributary-partial")).toBe('"rd-b"');
  expect(response.headers.get("cache-control")).toBe("max-age=5");
});

test("nothing known at all is 504", async () => {
  const gone = await createCoapServer().listen("coap://127.0.0.1:0");
  const { uri } = gone;
  await gone.close();
  const lp = await start({ name: "lp", lookup: { upstreams: [{ name: "rd-b", uri }], timeout: "200ms" } });
  const response = await ask(lp, "ep");
  expect([response.status, await response.json()]).toEqual([504, { error: expect.stringContaining("rd-b") }]);
});
