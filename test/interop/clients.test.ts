import coap from "coap";
import { expect, onTestFinished, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import { coapClient, describeWithPeers, eventually, startAiocoapObserver, startCoapObserver } from "../peers/peers.js";
import { SIXTY_LINKS, useRdByAiocoap } from "./aiocoap-session.js";

describeWithPeers(["libcoap", "aiocoap"], "clients that were not written for this", () => {
  test("libcoap: discovery, registration in blocks, lookup in blocks, update, removal, errors", async () => {
    const node = await openNode("registration: {}");
    const ask = async (method: string, path: string, ...more: string[]) =>
      coapClient(["-m", method, ...more, `${node.uri}${path}`]);
    const discovery = (await ask("get", "/.well-known/core?rt=core.rd*")).stdout;
    for (const type of ["core.rd", "core.rd-lookup-ep", "core.rd-lookup-res"])
      expect(discovery).toContain(`rt="${type}"`);
    await ask("post", "/rd?ep=big&base=coap://h", "-t", "40", "-b", "64", "-e", SIXTY_LINKS);
    const whole = (await ask("get", "/rd-lookup/res?ep=big", "-b", "128")).stdout;
    expect(whole.match(/<coap:\/\/h\/sensors\//g)).toHaveLength(60);
    const href = /<(.*?)>/.exec((await ask("get", "/rd-lookup/ep?ep=big")).stdout)?.[1] ?? "";
    expect((await ask("post", `${href}?lt=60`)).stderr).toBe("");
    await ask("delete", href);
    expect((await ask("get", "/rd-lookup/ep?ep=big")).stdout.trim()).toBe("");
    expect((await ask("delete", href)).stderr).toMatch(/^4\.04/);
    expect((await ask("post", "/rd?ep=x&lt=0")).stderr).toMatch(/^4\.00 .*lt/);
  });

  test("aiocoap: discovery, registration, lookup in blocks, removal", async () => {
    const node = await openNode("registration: {}");
    const session = await useRdByAiocoap(node.uri);
    expect(session).toMatchObject({
      discovered: expect.stringContaining("core.rd-lookup-ep"),
      sensors: 60,
      afterRemoval: "",
    });
  });

  test("OBS-01 OBS-02 COA-06 libcoap, aiocoap and coap observe a lookup at a proxy and are notified of changes at the RD", async () => {
    const rd = await openNode("registration: {}");
    const proxy = await openNode(`lookup: { upstreams: ["${rd.uri}"] }`);
    await eventually(() => proxy.upstreams()[0]?.phase === "live", { what: "the proxy to be live" });
    const uri = `${proxy.uri}/rd-lookup/ep?d=watched`;
    const texts = new Map<string, () => string>();
    const libcoap = startCoapObserver(uri);
    texts.set("libcoap", () => libcoap.stdout());
    const aiocoap = startAiocoapObserver(uri);
    texts.set("aiocoap", () => aiocoap.stdout());
    const nodeCoap = observeWithNodeCoap(uri);
    texts.set("coap", () => nodeCoap.text);
    const client = await openTestClient();
    await eventually(
      async () => {
        // The first change may come before an observer is there; it is then in its first answer.
        await client.register(rd.uri, ["ep=first", "d=watched", `base=coap://h`]);
        return [...texts.values()].every((text) => text().includes("first"));
      },
      { what: "three observers", intervalMs: 200 },
    );
    await client.register(rd.uri, ["ep=second", "d=watched", "base=coap://h"]);
    for (const [name, text] of texts)
      await eventually(() => text().includes("second"), { what: `${name} to be notified` });
  });
});

/** The npm package `coap`, which the endpoint client is made with, as a peer. */
function observeWithNodeCoap(uri: string): { text: string } {
  const { hostname, port, pathname, search } = new URL(uri);
  const agent = new coap.Agent({ type: "udp6" });
  onTestFinished(() => void agent.close());
  const seen = { text: "" };
  const request = coap.request({
    host: hostname.replace(/[[\]]/g, ""),
    port: Number(port),
    pathname,
    query: search.slice(1),
    observe: true,
    agent,
  });
  request.on("response", (response) =>
    response.on("data", (chunk: Buffer) => {
      seen.text += chunk.toString();
    }),
  );
  request.on("error", () => {});
  request.end();
  return seen;
}
