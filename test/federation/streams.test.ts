import { systemClock } from "@tributary/runtime";
import { expect, onTestFinished, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import { eventually, freePort, PINNED_NODE, startProcess, TRIBUTARY, untilWritten } from "../peers/peers.js";

const tcp = (configuration: string, listen?: string) => openNode(configuration, systemClock(), "coap+tcp", listen);

test("an RD over UDP and TCP: one directory, paths that hold on both", async () => {
  const port = await freePort("::1");
  const listen = [`coap://[::1]:${port}`, `coap+tcp://[::1]:${port}`];
  const rd = await tcp("registration: {}", JSON.stringify(listen));
  expect(rd.listening).toEqual(listen);
  const client = await openTestClient();
  const path = await client.register(listen[1] as string, ["ep=one", "base=coap://h"], "</t>;rt=temp");
  for (const uri of listen) {
    expect(await client.targets(`${uri}/rd-lookup/ep`)).toEqual([path]);
    expect(await client.targets(`${uri}/rd-lookup/res`, [`href=${uri}${path}`])).toEqual(["coap://h/t"]);
  }
  expect((await client.remove(listen[0] + path)).code).toBe(66);
  expect(await client.targets(`${listen[1]}/rd-lookup/ep`)).toEqual([]);
});

test("REG-32 a registration over TCP without base gets its connection's address and port, one with base keeps that", async () => {
  const rd = await tcp("registration: {}");
  const client = await openTestClient();
  await client.register(rd.uri, ["ep=plain"], "</t>;rt=temp");
  await client.register(rd.uri, ["ep=stated", "base=coap+tcp://[2001:db8::7]"], "</t>;rt=temp");
  const targets = await client.targets(`${rd.uri}/rd-lookup/res`, ["rt=temp"]);
  expect(targets).toEqual([expect.stringMatching(/^coap\+tcp:\/\/\[::1\]:\d+\/t$/), "coap+tcp://[2001:db8::7]/t"]);
});

test.each(["replicate", "forward"])(
  "an upstream over TCP, mode %s: lookups show its full URIs; after a restart it is found again",
  async (mode) => {
    const port = await freePort("::1");
    const listen = JSON.stringify([`coap+tcp://[::1]:${port}`]);
    const first = await tcp("registration: {}", listen);
    const client = await openTestClient();
    const path = await client.register(first.uri, ["ep=one", "base=coap://h"]);
    const proxy = await openNode(`lookup: { upstreams: [{ name: rd, uri: "${first.uri}", mode: ${mode} }] }`);
    // Each time another query: forwarded answers are cached for their Max-Age.
    let count = 1000;
    const shown = () => client.targets(`${proxy.uri}/rd-lookup/ep`, ["page=0", `count=${count++}`]);
    await eventually(async () => (await shown()).includes(first.uri + path), { what: "the registration at the proxy" });
    await first.close();
    const second = await tcp("registration: {}", listen);
    // The old connection may not be known to be over yet.
    const register = () => client.register(second.uri, ["ep=two", "base=coap://h"]);
    const another = await register().catch(register);
    await eventually(async () => (await shown()).includes(second.uri + another), {
      what: "the proxy to find the restarted RD",
    });
  },
);

test("`freshness: echo` holds over TCP: clients give back the value of the challenge", async () => {
  const rd = await tcp("registration: { freshness: echo }\namplification: { trusted: [] }");
  const client = await openTestClient();
  const path = await client.register(rd.uri, ["ep=one", "base=coap://h"]);
  expect((await client.remove(rd.uri + path)).code).toBe(66);
  expect(rd.counters.rejected().get("not-fresh")).toBe(2);
});

test("`tributary register` over TCP registers, renews and removes", async () => {
  const rd = await tcp("registration: {}");
  const args = [TRIBUTARY, "register", "--at", rd.uri, "--ep", "lamp", "--base", "coap+tcp://[2001:db8::9]"];
  const started = startProcess(PINNED_NODE, [...args, "</on>;rt=switch"], {});
  onTestFinished(async () => void (await started.stop()));
  const [, location] = await untilWritten(started, "stdout", /^registered (coap\+tcp:\S+)$/m);
  const client = await openTestClient();
  expect(await client.targets(`${rd.uri}/rd-lookup/res`)).toEqual(["coap+tcp://[2001:db8::9]/on"]);
  expect(location).toMatch(new RegExp(`^${rd.uri.replace(/[[\]+.]/g, "\\$&")}/reg/`));
  await started.kill("SIGINT");
  expect(await client.targets(`${rd.uri}/rd-lookup/res`)).toEqual([]);
});
