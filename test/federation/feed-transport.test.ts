import { systemClock } from "@tributary/runtime";
import { expect, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import { eventually, freePort } from "../peers/peers.js";

const rdAt = (listen: readonly string[], configuration = "registration: {}") =>
  openNode(configuration, systemClock(), "coap", JSON.stringify(listen));

async function proxyOver(uri: string, settings: string) {
  const lp = await openNode(`lookup: { upstreams: [{ name: rd, uri: "${uri}"${settings} }] }`);
  await eventually(() => lp.upstreams()[0]?.phase === "live", { what: "the proxy to be live" });
  return lp;
}

test.each([
  { settings: "", transport: "tcp" },
  { settings: ", transport: auto", transport: "tcp" },
  { settings: ", transport: tcp", transport: "tcp" },
  { settings: ", transport: udp", transport: "udp" },
  { settings: `, filters: ["ep=lamp*"]`, transport: "tcp" },
])(
  "an RD over UDP and TCP, upstream by UDP$settings: the feed is read over $transport",
  async ({ settings, transport }) => {
    const port = await freePort("::1");
    const uri = `coap://[::1]:${port}`;
    await rdAt([uri, `coap+tcp://[::1]:${port}`]);
    const client = await openTestClient();
    const path = await client.register(uri, ["ep=lamp1", "base=coap://h"], "</t>;rt=temp");
    const lp = await proxyOver(uri, settings);
    expect(lp.upstreams()[0]).toMatchObject({ method: "feed", transport });
    // Whatever the feed is read over, registrations are those of the configured URI.
    expect(await client.targets(`${lp.uri}/rd-lookup/ep`)).toEqual([uri + path]);
    const added = await client.register(uri, ["ep=lamp2", "base=coap://h"], "</t>;rt=temp");
    await eventually(async () => (await client.targets(`${lp.uri}/rd-lookup/ep`)).includes(uri + added), {
      what: "the second registration",
    });
  },
);

test("a proxy is followed over TCP as well", async () => {
  const port = await freePort("::1");
  const uri = `coap://[::1]:${port}`;
  const client = await openTestClient();
  const rd = await openNode("registration: {}");
  const path = await client.register(rd.uri, ["ep=lamp1", "base=coap://h"], "</t>;rt=temp");
  await rdAt([uri, `coap+tcp://[::1]:${port}`], `lookup: { upstreams: [{ name: rd, uri: "${rd.uri}" }] }`);
  const lp = await proxyOver(uri, ", tier: true");
  expect(lp.upstreams()[0]).toMatchObject({ method: "feed", transport: "tcp" });
  await eventually(async () => (await client.targets(`${lp.uri}/rd-lookup/ep`)).includes(rd.uri + path), {
    what: "the registration in the second tier",
  });
});

test.each([
  { what: "nothing listens", hasOther: false },
  { what: "another node listens", hasOther: true },
])("TCP is advertised, and $what there: the feed is read over UDP", async ({ hasOther }) => {
  const port = await freePort("::1");
  const uri = `coap://[::1]:${port}`;
  await rdAt([uri, `coap+tcp://127.0.0.1:${port}`]);
  if (hasOther) await rdAt([`coap+tcp://[::1]:${port}`]);
  const client = await openTestClient();
  const path = await client.register(uri, ["ep=lamp1", "base=coap://h"], "</t>;rt=temp");
  const lp = await proxyOver(uri, "");
  expect(lp.upstreams()[0]).toMatchObject({ method: "feed", transport: "udp" });
  expect(await client.targets(`${lp.uri}/rd-lookup/ep`)).toEqual([uri + path]);
});

test("transport: tcp does not fall back", async () => {
  const port = await freePort("::1");
  await rdAt([`coap://[::1]:${port}`]);
  const lp = await openNode(`lookup: { upstreams: [{ name: rd, uri: "coap://[::1]:${port}", transport: tcp }] }`);
  await eventually(() => lp.upstreams()[0]?.lastError !== undefined, { what: "the failure" });
  expect(lp.upstreams()[0]).toMatchObject({ phase: "missing", isComplete: false });
});
