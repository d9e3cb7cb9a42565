import { CODE, METHOD, type RequestHandler, type ServerRequest } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { codeOf, openClient, serveDirectory, textOf } from "../testing/served-directory.js";

/** An RD, and an endpoint at [2001:db8::7]:61616 that serves `/.well-known/core`. */
function serve(core: RequestHandler | string, options = {}) {
  const world = createVirtualWorld();
  const served = serveDirectory(world, options);
  const fetches: ServerRequest[] = [];
  const endpoint = openClient(world, "2001:db8::7", 61_616, (request) => {
    fetches.push(request);
    return typeof core === "string"
      ? { code: CODE.CONTENT, contentFormat: 40, payload: Buffer.from(core) }
      : core(request);
  });
  const simple = (query: string, more = {}) => endpoint.request("POST", `/.well-known/rd?${query}`, more);
  return { ...served, clock: world.clock, world, endpoint, fetches, simple };
}

describe("RFC 9176 section 5.1: simple registration", () => {
  test("SIM-01 SIM-02 the RD fetches the links from the source and answers 2.04 when it has them", async () => {
    const { simple, fetches, lookup } = serve("</sensors/temp>;rt=t");
    const answer = await simple("ep=a&lt=6000");
    expect(codeOf(answer)).toBe("2.04");
    expect(answer.locationPath).toEqual([]);
    expect(fetches).toHaveLength(1);
    expect(fetches[0]).toMatchObject({ method: METHOD.GET, path: [".well-known", "core"], accept: 40, query: [] });
    expect(lookup("res")).toEqual([{ target: "coap://[2001:db8::7]:61616/sensors/temp", attributes: [["rt", "t"]] }]);
    expect(lookup("ep")[0]?.attributes).toContainEqual(["base", "coap://[2001:db8::7]:61616"]);
  });

  test("SIM-02 nothing is shown and nothing answered before the endpoint has handed out its links", async () => {
    const shownBefore: unknown[] = [];
    const { simple, clock, lookup } = serve(async () => {
      await new Promise<void>((resolve) => {
        clock.setTimer(1000, () => {
          shownBefore.push(lookup("ep"));
          resolve();
        });
      });
      return { code: CODE.CONTENT, payload: Buffer.from("</x>") };
    });
    expect(codeOf(await simple("ep=a"))).toBe("2.04");
    expect(shownBefore).toEqual([[]]);
    expect(lookup("ep")).toHaveLength(1);
  });

  test.each([
    { name: "SIM-03 base", query: "ep=a&base=coap://h", more: {} },
    { name: "SIM-08 a payload", query: "ep=a", more: { text: "</x>" } },
    { name: "SIM-10 no ep", query: "d=x", more: {} },
    { name: "SIM-10 lt=0", query: "ep=a&lt=0", more: {} },
    { name: "SIM-10 long ep", query: `ep=${"x".repeat(64)}`, more: {} },
    { name: "SIM-10 a refused name", query: "ep=a&rt=x", more: {} },
  ])("4.00 without a fetch: $name", async ({ query, more }) => {
    const { simple, fetches, directory } = serve("</x>");
    expect(codeOf(await simple(query, more))).toBe("4.00");
    expect(fetches).toHaveLength(0);
    expect(directory.counts().total).toBe(0);
  });

  test("SIM-10 lifetime, sector and further attributes count as in a registration", async () => {
    const { simple, lookup, directory } = serve("</x>");
    expect(codeOf(await simple("ep=a&d=s&lt=60&et=e&ex=1"))).toBe("2.04");
    expect(directory.winner("a", "s")?.ltMs).toBe(60_000);
    expect(lookup("ep", "et=e&ex=1")).toHaveLength(1);
  });

  test.each<{ name: string; core: RequestHandler; code: string }>([
    { name: "an error", core: () => ({ code: CODE.NOT_FOUND }), code: "4.00" },
    { name: "no link format", core: () => ({ code: CODE.CONTENT, payload: Buffer.from("hello") }), code: "4.00" },
    {
      name: "another format",
      core: () => ({ code: CODE.CONTENT, contentFormat: 50, payload: Buffer.from("[]") }),
      code: "4.00",
    },
    { name: "relative links", core: () => ({ code: CODE.CONTENT, payload: Buffer.from("<x>") }), code: "4.00" },
    {
      name: "too much",
      core: () => ({ code: CODE.CONTENT, payload: new Uint8Array(70_000).fill(0x2f) }),
      code: "4.00",
    },
    { name: "nothing at all", core: () => new Promise(() => {}), code: "5.04" },
  ])("SIM-04 nothing is registered when the endpoint answers with $name", async ({ core, code }) => {
    const { simple, directory } = serve(core);
    const answer = await simple("ep=a");
    expect(codeOf(answer)).toBe(code);
    expect(textOf(answer)).not.toBe("");
    expect(directory.counts().total).toBe(0);
  });

  test("SIM-04 nobody listens at the source any more", async () => {
    const { world, call, directory } = serve("</x>");
    const pending = call("POST", "/.well-known/rd?ep=a", { from: { address: "2001:db8::dead", port: 1 } });
    await world.clock.advance(15_000);
    expect(codeOf(await pending)).toBe("5.04");
    expect(directory.counts().total).toBe(0);
  });

  test("SIM-05 while the fetched document is fresh a refresh fetches nothing", async () => {
    const core = { code: CODE.CONTENT, maxAgeS: 100, payload: Buffer.from("</x>") };
    const { simple, fetches, clock, directory } = serve(() => core);
    await simple("ep=a&lt=200");
    await clock.advance(99_000);
    expect(codeOf(await simple("ep=a&lt=300"))).toBe("2.04");
    expect(fetches).toHaveLength(1);
    expect(directory.winner("a", undefined)?.ltMs).toBe(300_000);
    await clock.advance(1_000);
    expect(codeOf(await simple("ep=a&lt=300"))).toBe("2.04");
    expect(fetches).toHaveLength(2);
  });

  test("SIM-05 a refresh within Max-Age is answered at once", async () => {
    const { simple, ask } = serve("</x>");
    await simple("ep=a");
    const from = { address: "2001:db8::7", port: 61_616 };
    expect(codeOf(ask("POST", "/.well-known/rd?ep=a", { from }))).toBe("2.04");
  });

  test("SIM-05 another source is another document", async () => {
    const { world, simple, fetches, lookup } = serve("</x>");
    await simple("ep=a");
    const other = openClient(world, "2001:db8::8", 5683, () => ({
      code: CODE.CONTENT,
      payload: Buffer.from("</other>"),
    }));
    expect(codeOf(await other.request("POST", "/.well-known/rd?ep=a"))).toBe("2.04");
    expect(fetches).toHaveLength(1);
    expect(lookup("res").map(({ target }) => target)).toEqual(["coap://[2001:db8::8]/other"]);
  });

  test("SIM-06 the registration ends with its lifetime", async () => {
    const { simple, clock, lookup } = serve("</x>");
    await simple("ep=a&lt=60");
    await clock.advance(60_000);
    expect(lookup("ep")).toEqual([]);
  });

  test("SIM-09 a document of many blocks is taken whole", async () => {
    const links = Array.from({ length: 500 }, (_, at) => `</sensors/${at}>;rt=temperature`);
    const { simple, lookup } = serve(links.join(","));
    expect(codeOf(await simple("ep=a"))).toBe("2.04");
    expect(lookup("res")).toHaveLength(500);
  });

  test.each(["GET", "PUT", "DELETE"] as const)("SIM-01 %s is not a simple registration", async (method) => {
    const { endpoint } = serve("</x>");
    expect(codeOf(await endpoint.request(method, "/.well-known/rd?ep=a"))).toBe("4.05");
  });

  test("SIM-11 the form of older drafts is refused", async () => {
    const { endpoint, directory } = serve("</x>");
    expect(codeOf(await endpoint.request("POST", "/.well-known/core?ep=a"))).toBe("4.05");
    expect(directory.counts().total).toBe(0);
  });

  test("requests of one source at the same time share one fetch", async () => {
    const { simple, fetches, lookup } = serve("</x>");
    const answers = await Promise.all([simple("ep=a"), simple("ep=a"), simple("ep=b")]);
    expect(answers.map(codeOf)).toEqual(["2.04", "2.04", "2.04"]);
    expect(fetches).toHaveLength(1);
    expect(lookup("ep")).toHaveLength(2);
  });

  test("an endpoint that does not answer keeps nobody from its name, and does not undo what others did", async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { simple, register, clock, lookup } = serve(async () => {
      await held;
      return { code: CODE.CONTENT, payload: Buffer.from("</simple>") };
    });
    const answer = simple("ep=a");
    await clock.advance(100);
    register("ep=a", "</proper>");
    release();
    expect(codeOf(await answer)).toBe("5.03");
    expect(lookup("res").map(({ target }) => target)).toEqual(["coap://[2001:db8::2]:40000/proper"]);
  });

  test("a link-local endpoint is asked on its own link", async () => {
    const world = createVirtualWorld();
    const { lookup } = serveDirectory(world);
    const endpoint = openClient(world, "fe80::7%eth0", 5683, () => ({
      code: CODE.CONTENT,
      payload: Buffer.from("</x>"),
    }));
    expect(codeOf(await endpoint.request("POST", "/.well-known/rd?ep=a"))).toBe("2.04");
    expect(lookup("ep")).toEqual([]);
    const [seen] = lookup("res", "", { from: { address: "fe80::8", zone: "eth0" } });
    expect(seen?.target).toBe("coap://[fe80::7]/x");
  });
});
