import { createSocket } from "node:dgram";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CODE, type CoapClient, METHOD } from "@tributary/coap-transport";
import { expect, onTestFinished, test } from "vitest";
import { openContextClient, writeContextPair } from "../harness/oscore-contexts.js";
import { eventually, freePort, runTributary, startTributary, temporaryFolder } from "../peers/peers.js";

/** An RD, a process of its own that can be started again, and devices with contexts. */
async function openSite() {
  const folder = temporaryFolder();
  const contexts = join(folder, "contexts");
  const device = join(folder, "device");
  writeContextPair(join(contexts, "lamp"), join(device, "rd"));
  const http = await freePort("127.0.0.1");
  const port = await freePort("::1");
  const configFile = join(folder, "rd.yaml");
  const config = { name: "rd", listen: [`coap://[::1]:${port}`], http: `127.0.0.1:${http}`, registration: {} };
  writeFileSync(configFile, JSON.stringify({ ...config, oscore: { contexts } }));
  const metrics = async () => (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
  const refused = async (cause: string): Promise<number> =>
    Number(new RegExp(`^tributary_rejected_total[{]cause="${cause}"[}] (\\d+)$`, "m").exec(await metrics())?.[1] ?? 0);
  return { folder, contexts, device, configFile, port, uri: `coap://[::1]:${port}`, refused };
}

const ask = async (client: CoapClient, uri: string) =>
  (await client.request({ method: METHOD.GET, uri: `${uri}/rd-lookup/ep`, context: "rd" })).code;

/** Passes datagrams to a port, and keeps those of the client. */
async function recordTo(port: number): Promise<{ readonly uri: string; readonly sent: Buffer[] }> {
  const front = createSocket("udp6");
  const back = createSocket("udp6");
  await new Promise<void>((resolve) => front.bind(0, "::1", resolve));
  const sent: Buffer[] = [];
  let client = 0;
  front.on("message", (datagram, { port: from }) => {
    client = from;
    sent.push(Buffer.from(datagram));
    back.send(datagram, port, "::1");
  });
  back.on("message", (datagram) => front.send(datagram, client, "::1"));
  onTestFinished(() => {
    front.close();
    back.close();
  });
  return { uri: `coap://[::1]:${front.address().port}`, sent };
}

function send(datagram: Uint8Array, port: number): void {
  const socket = createSocket("udp6");
  socket.send(datagram, port, "::1", () => socket.close());
}

test.each(["SIGTERM", "SIGKILL"] as const)(
  "after %s what was sent before is refused, and what is new is served",
  async (signal) => {
    const { configFile, device, port, uri, refused } = await openSite();
    const { client } = await openContextClient(device);
    const relay = await recordTo(port);
    const before = await startTributary({ configFile });
    expect(await ask(client, relay.uri)).toBe(CODE.CONTENT);
    const [recorded = Buffer.alloc(0)] = relay.sent;
    await before.kill(signal);

    await startTributary({ configFile });
    send(recorded, port);
    const cause = signal === "SIGTERM" ? "oscore-replay" : "oscore-recovery";
    await eventually(async () => (await refused(cause)) === 1, { what: "the replay to be refused" });
    expect(await ask(client, uri)).toBe(CODE.CONTENT);
    // A request that proves to be fresh makes the window known again.
    send(recorded, port);
    await eventually(async () => (await refused("oscore-replay")) === (signal === "SIGTERM" ? 2 : 1), {
      what: "the second replay to be refused",
    });
  },
  30_000,
);

test("SIGHUP brings a new context and takes one that is gone; what is refused is counted", async () => {
  const { folder, contexts, configFile, device, uri, refused } = await openSite();
  const rd = await startTributary({ configFile });
  const { client } = await openContextClient(device);
  expect(await ask(client, uri)).toBe(CODE.CONTENT);
  const other = join(folder, "other");
  writeContextPair(join(contexts, "switch"), join(other, "rd"));
  const { client: added } = await openContextClient(other);
  await expect(ask(added, uri)).rejects.toThrow("Security context not found");
  expect(await refused("oscore-context")).toBe(1);

  rmSync(join(contexts, "lamp"), { recursive: true });
  rd.signal("SIGHUP");
  await eventually(() => rd.stderr().includes("OSCORE contexts reloaded"), { what: "the reload" });
  expect(await ask(added, uri)).toBe(CODE.CONTENT);
  await expect(ask(client, uri)).rejects.toThrow("Security context not found");

  // With a mistake nothing changes.
  writeFileSync(join(contexts, "switch/settings.json"), "{");
  rd.signal("SIGHUP");
  await eventually(() => rd.stderr().includes("the configuration is unchanged"), { what: "the refusal" });
  expect(rd.stderr()).toContain("switch/settings.json: it is not JSON");
  expect(await ask(added, uri)).toBe(CODE.CONTENT);
}, 30_000);

test("check and serve tell the place of a mistake in the folder, and end with status 2", async () => {
  const { contexts, configFile } = await openSite();
  writeFileSync(join(contexts, "lamp/sequence.json"), "");
  for (const command of ["check", "serve"]) {
    const { status, stderr } = await runTributary([command, "-c", configFile]);
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /rd\.yaml:1:\d+: .*sequence\.json: it is damaged, so numbers could be used twice; renew the keys/,
    );
  }
});

test("a second node with the same contexts does not start, and says which process has them", async () => {
  const { configFile } = await openSite();
  const rd = await startTributary({ configFile });
  const second = await runTributary(["serve", "-c", configFile]);
  expect(second.status).toBe(1);
  expect(second.stderr).toContain(`contexts is in use by process ${rd.pid}`);
});
