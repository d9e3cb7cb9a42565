import { CODE, createAmplificationGuard, formatCode, METHOD, OPTION } from "@tributary/coap-transport";
import { createRawPeer, createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { DIRECTORY_ADDRESS } from "../testing/built-request.js";
import { codeOf, openClient, type ServedDirectoryOptions, serveDirectory } from "../testing/served-directory.js";

const LINKS = "</sensors/temp>;rt=t";

/** An RD that looks at source addresses, and a client that is driven by hand. */
function serve(options: ServedDirectoryOptions = {}, isTrusted = false) {
  const world = createVirtualWorld();
  const guard = createAmplificationGuard(world, { isTrusted: () => isTrusted, echoLifetimeMs: 10_000 });
  const served = serveDirectory(world, { guard, ...options });
  const to = { address: DIRECTORY_ADDRESS, port: 5683 };
  const peerAt = (address: string) => createRawPeer(world.network.open(address, 40_000), to);
  const client = peerAt("2001:db8::2");
  /** One exchange, without the help of a client that knows Echo. */
  async function ask(path: string, echo?: Uint8Array, by = client, code: number = METHOD.POST) {
    const [, bare = "", query] = /^([^?]*)(?:\?(.*))?$/.exec(path) ?? [];
    const options = echo === undefined ? [] : [{ number: OPTION.ECHO, value: echo }];
    by.send({ code, path: bare, query: query?.split("&") ?? [], options });
    await world.clock.advance(500);
    const answer = by.take();
    const issued = answer.options.find(({ number }) => number === OPTION.ECHO)?.value;
    const location = answer.options
      .filter(({ number }) => number === OPTION.LOCATION_PATH)
      .map(({ value }) => Buffer.from(value).toString());
    return { code: formatCode(answer.code), echo: issued, location: `/${location.join("/")}` };
  }
  return { ...served, world, clock: world.clock, peerAt, ask };
}

describe("RFC 9176 section 5.3.4: freshness", () => {
  test("FRS-01 a change without Echo is a 4.01 that gives one and changes nothing; with it, it is done", async () => {
    const { ask, lookup, rd } = serve({ requiresFreshness: true });
    const first = await ask("/rd?ep=a&base=coap://h");
    expect(first.code).toBe("4.01");
    expect(lookup("ep")).toEqual([]);
    const second = await ask("/rd?ep=a&base=coap://h", first.echo);
    expect(second.code).toBe("2.01");
    const third = await ask(second.location);
    expect(third.code).toBe("4.01");
    expect((await ask(second.location, third.echo)).code).toBe("2.04");
    expect((await ask(second.location, undefined, undefined, METHOD.DELETE)).code).toBe("4.01");
    expect((await ask(second.location, third.echo, undefined, METHOD.DELETE)).code).toBe("2.02");
    expect(rd.rejected.get("not-fresh")).toBe(3);
  });

  test("FRS-01 an address that is trusted or was verified before is not enough", async () => {
    const { ask } = serve({ requiresFreshness: true }, true);
    const first = await ask("/rd?ep=a&base=coap://h");
    expect(first.code).toBe("4.01");
    expect((await ask("/rd?ep=a&base=coap://h", first.echo)).code).toBe("2.01");
    expect((await ask("/rd?ep=a&base=coap://h")).code).toBe("4.01");
  });

  test("FRS-02 an answer carries an Echo value that the next change may use", async () => {
    const { ask } = serve({ requiresFreshness: true });
    const { echo } = await ask("/rd?ep=a&base=coap://h");
    let next = await ask("/rd?ep=a&base=coap://h", echo);
    for (let round = 0; round < 3; round++) {
      next = { ...(await ask(next.location, next.echo)), location: next.location };
      expect(next.code).toBe("2.04");
      expect(next.echo).toHaveLength(20);
    }
  });

  test("FRS-03 an Echo value that is stale, or another client's, is a 4.01 again, with a new one", async () => {
    const { ask, clock, peerAt } = serve({ requiresFreshness: true });
    const { echo } = await ask("/rd?ep=a&base=coap://h");
    const other = peerAt("2001:db8::3");
    expect(await ask("/rd?ep=a&base=coap://h", echo, other)).toMatchObject({ code: "4.01" });
    await clock.advance(10_000);
    const late = await ask("/rd?ep=a&base=coap://h", echo);
    expect(late.code).toBe("4.01");
    expect(late.echo?.length).toBeGreaterThan(0);
    expect(late.echo?.length).toBeLessThanOrEqual(40);
    expect(late.echo).not.toEqual(echo);
    expect((await ask("/rd?ep=a&base=coap://h", late.echo)).code).toBe("2.01");
  });

  test("FRS-01 our own client answers the challenge, also for a registration in blocks", async () => {
    const { world, lookup } = serve({ requiresFreshness: true });
    const client = openClient(world, "2001:db8::7");
    const links = Array.from({ length: 200 }, (_, index) => `</s/${index}>;rt=t`).join(",");
    const answer = await client.request("POST", "/rd?ep=big&base=coap://h", { text: links });
    expect(codeOf(answer)).toBe("2.01");
    expect(lookup("res", "ep=big")).toHaveLength(200);
  });

  test("reading a registration needs no freshness, and without the setting nothing does", async () => {
    const { ask } = serve();
    const { code, location, echo } = await ask("/rd?ep=a&base=coap://h");
    expect([code, echo]).toEqual(["2.01", undefined]);
    expect((await ask(location, undefined, undefined, METHOD.GET)).code).toBe("2.05");
  });
});

describe("RFC 9176 section 5.1: simple registration", () => {
  function simple(isTrusted: boolean) {
    const served = serve({}, isTrusted);
    let fetches = 0;
    const endpoint = openClient(served.world, "2001:db8::7", 61_616, () => {
      fetches++;
      return { code: CODE.CONTENT, contentFormat: 40, payload: Buffer.from(LINKS) };
    });
    return { ...served, endpoint, fetches: () => fetches };
  }

  test("SIM-07 a source that is not verified is challenged before anything is sent to it", async () => {
    const { ask, rd, clock, world, endpoint, fetches, lookup } = simple(false);
    const sentTo: string[] = [];
    world.network.onEvent = ({ to, fate }) => void (fate === "sent" && sentTo.push(to.address));
    expect((await ask("/.well-known/rd?ep=forged")).code).toBe("4.01");
    await clock.advance(60_000);
    expect(sentTo.filter((address) => address === "2001:db8::2")).toHaveLength(1);
    expect(rd.rejected.get("unverified")).toBe(1);
    expect(codeOf(await endpoint.request("POST", "/.well-known/rd?ep=a"))).toBe("2.04");
    expect(fetches()).toBe(1);
    expect(lookup("ep")).toHaveLength(1);
  });

  test("SIM-07 a trusted one is not", async () => {
    const { endpoint, fetches, rd } = simple(true);
    expect(codeOf(await endpoint.request("POST", "/.well-known/rd?ep=a"))).toBe("2.04");
    expect(fetches()).toBe(1);
    expect(rd.rejected.get("unverified")).toBeUndefined();
  });
});
