import { expect, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import { aiocoapClient, coapClient, describeWithPeers, eventually, startAiocoapRd } from "../peers/peers.js";

describeWithPeers(["libcoap", "aiocoap"], "aiocoap-rd and a Tributary RD under one proxy", () => {
  test("endpoints of either appear with their own links, disappear, and move without a double", async () => {
    const foreign = await startAiocoapRd();
    const own = await openNode("registration: {}");
    await eventually(
      async () => (await coapClient(["-m", "get", `${foreign.uri}/.well-known/core`])).stdout.includes("core.rd"),
      { what: "aiocoap-rd to answer", intervalMs: 200 },
    );
    const proxy = await openNode(
      `lookup: { upstreams: [{ name: foreign, uri: "${foreign.uri}" }, { name: own, uri: "${own.uri}" }] }`,
    );
    const client = await openTestClient();
    const endpoints = async (...query: string[]) => (await client.targets(`${proxy.uri}/rd-lookup/ep`, query)).sort();
    const resources = async (...query: string[]) => client.links(`${proxy.uri}/rd-lookup/res`, query);
    const coapPost = (uri: string, payload: string) => coapClient(["-m", "post", "-t", "40", "-e", payload, uri]);
    const aiocoapPost = (uri: string, payload: string) =>
      aiocoapClient(["-m", "POST", "--content-format", "application/link-format", "--payload", payload, uri]);
    await eventually(() => proxy.upstreams().every(({ phase }) => phase === "live"), {
      what: "both upstreams to be live",
    });

    // Both clients register at both directories.
    await coapPost(
      `${foreign.uri}/resourcedirectory/?ep=c-f&base=coap://[2001:db8::1]`,
      '</t>;rt="temp",</h>;rt="hum"',
    );
    await aiocoapPost(`${foreign.uri}/resourcedirectory/?ep=a-f&d=f1&base=coap://[2001:db8::2]`, '</t>;rt="temp"');
    await coapPost(`${own.uri}/rd?ep=c-o&base=coap://[2001:db8::3]`, '</t>;rt="temp"');
    await aiocoapPost(`${own.uri}/rd?ep=a-o&d=f1&base=coap://[2001:db8::4]`, '</t>;rt="temp",</l>;rt="light"');
    await eventually(async () => (await endpoints()).length === 4, { what: "four endpoints" });

    // aiocoap tells no provenance; attribution is right all the same.
    expect((await resources("ep=c-f")).map(({ target }) => target).sort()).toEqual([
      "coap://[2001:db8::1]/h",
      "coap://[2001:db8::1]/t",
    ]);
    expect((await resources("ep=a-f", "rt=temp")).map(({ target }) => target)).toEqual(["coap://[2001:db8::2]/t"]);
    expect((await resources("d=f1")).map(({ target }) => target).sort()).toEqual([
      "coap://[2001:db8::2]/t",
      "coap://[2001:db8::4]/l",
      "coap://[2001:db8::4]/t",
    ]);
    const [link] = await resources("ep=a-f", "provenance");
    expect(link?.attributes.find(([name]) => name === "provenance")?.[1]).toMatch(
      new RegExp(`^${foreign.uri.replaceAll(/[[\]]/g, "\\$&")}/reg/`),
    );

    // Removal at either.
    const [aF] = await endpoints("ep=a-f");
    await aiocoapClient(["-m", "DELETE", aF as string]);
    const [cO] = await endpoints("ep=c-o");
    await coapClient(["-m", "delete", cO as string]);
    await eventually(async () => (await endpoints()).length === 2, { what: "two endpoints" });

    // Moves in both directions: the newest registration alone is shown.
    await coapPost(`${own.uri}/rd?ep=c-f&base=coap://[2001:db8::1]`, '</new>;rt="temp"');
    await eventually(async () => (await endpoints("ep=c-f")).every((href) => href.startsWith(own.uri)), {
      what: "c-f at its new directory",
    });
    expect((await resources("ep=c-f")).map(({ target }) => target)).toEqual(["coap://[2001:db8::1]/new"]);
    await aiocoapPost(`${foreign.uri}/resourcedirectory/?ep=a-o&d=f1&base=coap://[2001:db8::4]`, '</new>;rt="temp"');
    await eventually(async () => (await endpoints("ep=a-o")).every((href) => href.startsWith(foreign.uri)), {
      what: "a-o at its new directory",
    });
    expect(await endpoints()).toHaveLength(2);
    const report = proxy.upstreams().find(({ name }) => name === "foreign");
    expect(report).toMatchObject({
      method: "observe",
      capabilities: { feed: "no", provenance: "no", attribution: "href" },
    });
  });
});
