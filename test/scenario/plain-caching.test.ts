import { CODE } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { MovableClock, openNode, openTestClient, type TestClient } from "../harness/nodes.js";
import { coapClient, describeWithPeers, eventually, startAiocoapRd } from "../peers/peers.js";

const LOOKUPS = 1000;

interface Site {
  readonly client: TestClient;
  readonly proxy: string;
}

/** As a thousand applications at one site would: one after the other, all the same. */
async function askOften({ client, proxy }: Site, query: readonly string[]): Promise<string[][]> {
  const answers: string[][] = [];
  for (let count = 0; count < LOOKUPS; count++) answers.push(await client.targets(`${proxy}/rd-lookup/res`, query));
  return answers;
}

describeWithPeers([], "draft 4.2, a caching proxy before a Tributary RD", () => {
  test("CAC-01 CAC-03 a thousand identical lookups cost one request; registrations are never cached", async () => {
    const rd = await openNode("registration: {}");
    const relay = await CountingRelay.open(rd.uri);
    const clock = new MovableClock();
    const proxy = await openNode(
      `lookup: { upstreams: [{ name: central, uri: "${relay.uri}", mode: forward }] }`,
      clock,
    );
    const client = await openTestClient();
    await client.register(rd.uri, ["ep=n1", "base=coap://n1.example"], '</t>;rt="temp"');
    await eventually(() => proxy.upstreams().every(({ phase }) => phase === "live"), {
      what: "the RD to be discovered",
    });
    const before = relay.requests.length;
    const answers = await askOften({ client, proxy: proxy.uri }, ["rt=temp"]);
    expect(new Set(answers.flat())).toEqual(new Set(["coap://n1.example/t"]));
    expect(relay.lookups(before)).toEqual(["/rd-lookup/res?rt=temp&provenance=/*"]);

    // Past its Max-Age it is asked for again, observed because it is so frequent, and validated by its ETag.
    clock.moveAhead(61_000);
    expect(await client.targets(`${proxy.uri}/rd-lookup/res`, ["rt=temp"])).toEqual(["coap://n1.example/t"]);
    expect(relay.lookups(before)).toHaveLength(2);
    expect(relay.requests.at(-1)).toMatchObject({ isObservation: true });
    expect(Object.fromEntries(proxy.counters.cache())).toMatchObject({ hit: LOOKUPS - 1, fetched: 1, revalidated: 1 });

    // From now on a change arrives by itself: the next lookup knows it and costs nothing.
    const observed = relay.requests.length;
    await client.register(rd.uri, ["ep=n2", "base=coap://n2.example"], '</t>;rt="temp"');
    await eventually(async () => (await client.targets(`${proxy.uri}/rd-lookup/res`, ["rt=temp"])).length === 2, {
      what: "the notification",
    });
    expect(relay.requests.slice(observed)).toEqual([]);
  });

  test("CAC-04 an RD that is gone gives 5.04 once Max-Age is over; stale answers where configured", async () => {
    const rd = await openNode("registration: {}");
    const relay = await CountingRelay.open(rd.uri);
    const clock = new MovableClock();
    const upstreams = `upstreams: [{ name: central, uri: "${relay.uri}", mode: forward, timeout: 300ms }], timeout: 1s`;
    const strict = await openNode(`lookup: { ${upstreams} }`, clock);
    const lenient = await openNode(`lookup: { ${upstreams}, cache: { stale: 1h } }`, clock);
    const client = await openTestClient();
    await client.register(rd.uri, ["ep=n1", "base=coap://n1.example"], '</t>;rt="temp"');
    const ask = ({ uri }: { uri: string }) => client.get(`${uri}/rd-lookup/res`, ["rt=temp"]);
    for (const proxy of [strict, lenient]) {
      await eventually(async () => (await ask(proxy)).code === CODE.CONTENT, { what: "an answer" });
    }
    relay.isCut = true;
    clock.moveAhead(30_000);
    const fresh = await ask(strict);
    expect(fresh.code).toBe(CODE.CONTENT);
    expect(fresh.maxAgeS).toBeLessThanOrEqual(30);
    clock.moveAhead(31_000);
    const [gone, stale] = [await ask(strict), await ask(lenient)];
    expect(gone.code).toBe(CODE.GATEWAY_TIMEOUT);
    expect(new TextDecoder().decode(gone.payload)).toContain("central");
    expect(stale.code).toBe(CODE.CONTENT);
    expect(new TextDecoder().decode(stale.payload)).toBe('<coap://n1.example/t>;rt="temp"');
    expect(lenient.counters.cache().get("stale")).toBe(1);

    // Back again, it is asked again.
    relay.isCut = false;
    await eventually(async () => (await ask(strict)).code === CODE.CONTENT, {
      what: "the RD again",
    });
  });
});

describeWithPeers(["libcoap", "aiocoap"], "draft 4.2, the border router before an RD that knows nothing of it", () => {
  test("CAC-01 registrations go to the central RD, a thousand lookups cost it one request", async () => {
    const rd = await startAiocoapRd();
    const relay = await CountingRelay.open(rd.uri);
    await eventually(
      async () => (await coapClient(["-m", "get", `${relay.uri}/.well-known/core`])).stdout.includes("core.rd"),
      { what: "aiocoap-rd to answer", intervalMs: 200 },
    );
    const proxy = await openNode(
      `lookup: { upstreams: [{ name: central, uri: "${relay.uri}", mode: forward }] }
advertise: ['<${rd.uri}/resourcedirectory/>;rt="core.rd"']`,
    );
    const client = await openTestClient();

    // The draft's example: the border router names the central RD for registration and itself for lookups.
    const discovery = await coapClient(["-m", "get", `${proxy.uri}/.well-known/core?rt=core.rd*`]);
    const byType = Object.fromEntries(
      discovery.stdout
        .trim()
        .split(",")
        .map((link) => [/rt="([^"]+)"/.exec(link)?.[1], /<([^>]+)>/.exec(link)?.[1]]),
    );
    expect(byType).toEqual({
      "core.rd": `${rd.uri}/resourcedirectory/`,
      "core.rd-lookup-ep": "/rd-lookup/ep",
      "core.rd-lookup-res": "/rd-lookup/res",
    });
    await coapClient([
      ...["-m", "post", "-t", "40", "-e", '</t>;rt="temp"'],
      `${byType["core.rd"]}?ep=n1&base=coap://n1.example`,
    ]);
    await eventually(() => proxy.upstreams().every(({ phase }) => phase === "live"), {
      what: "the RD to be discovered",
    });
    const before = relay.requests.length;
    const answers = await askOften({ client, proxy: proxy.uri }, ["rt=temp"]);
    expect(new Set(answers.flat())).toEqual(new Set(["coap://n1.example/t"]));
    expect(relay.lookups(before)).toHaveLength(1);

    // Relative references are the RD's: here they name it.
    const [endpoint] = await client.targets(`${proxy.uri}/rd-lookup/ep`, ["ep=n1"]);
    expect(endpoint).toMatch(new RegExp(`^${relay.uri.replaceAll(/[[\]]/g, "\\$&")}/reg/`));
  });
});
