import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { openNode, openTestClient } from "../harness/nodes.js";
import { eventually, freePort, runTributary, startTributary, temporaryFolder } from "../peers/peers.js";

describe("draft 4.4.2, loops", () => {
  test("LPX-23 a node with its own address as upstream refuses it, says so, and answers all the same", async () => {
    const port = await freePort();
    const text = (upstream: string) =>
      `name: me\nlisten: ["coap://localhost:${port}"]\nhttp: "127.0.0.1:0"\nregistration: {}\nlookup:\n  upstreams:\n    - { name: itself, uri: "${upstream}" }\n`;
    // Where the configuration alone shows it, the node does not even start.
    for (const own of [`coap://localhost:${port}`, `coap://[::1]:${port}`])
      await expect(startTributary({ config: text(own) })).rejects.toThrow(/:7:\d+: .*this node itself/);
    // Behind another address only what it responds shows it.
    const relay = await CountingRelay.open(`coap://[::1]:${port}`);
    const node = await startTributary({ config: text(relay.uri) });
    await eventually(() => node.stderr().includes("it is this node itself"), { what: "the refusal in the log" });
    const client = await openTestClient();
    const path = await client.register(`coap://[::1]:${port}`, ["ep=n"]);
    expect(await client.targets(`coap://[::1]:${port}/rd-lookup/ep`)).toEqual([path]);
    expect(await node.kill("SIGTERM")).toBe(0);
  });

  test("LPX-23 another lookup proxy as upstream is refused with a remedy, and nothing loops", async () => {
    const rd = await openNode("registration: {}");
    const inner = await openNode(`lookup: { upstreams: ["${rd.uri}"] }`);
    const outer = await openNode(
      `lookup: { upstreams: [{ name: rd, uri: "${rd.uri}" }, { name: proxy, uri: "${inner.uri}" }] }`,
    );
    const status = () => outer.upstreams().find(({ name }) => name === "proxy");
    await eventually(() => status()?.phase === "refused", { what: "the refusal" });
    expect(status()?.lastError).toContain("list its RDs instead");
    const client = await openTestClient();
    await client.register(rd.uri, ["ep=n"]);
    await eventually(async () => (await client.targets(`${outer.uri}/rd-lookup/ep`)).length === 1, {
      what: "the registration at the outer proxy",
    });
    expect(outer.isReady()).toBe(true);
  });

  test("LPX-11 two nodes that follow each other show each registration once", async () => {
    const [portA, portB] = [await freePort(), await freePort()];
    const text = (own: number, other: number) =>
      `name: n${own}\nlisten: ["coap://[::1]:${own}"]\nhttp: "127.0.0.1:0"\nregistration: {}\nlookup:\n  upstreams: ["coap://[::1]:${other}"]\n`;
    await startTributary({ config: text(portA, portB) });
    await startTributary({ config: text(portB, portA) });
    const client = await openTestClient();
    await client.register(`coap://[::1]:${portA}`, ["ep=a"]);
    await client.register(`coap://[::1]:${portB}`, ["ep=b"]);
    for (const port of [portA, portB]) {
      await eventually(async () => (await client.targets(`coap://[::1]:${port}/rd-lookup/ep`)).length === 2, {
        what: "both registrations",
      });
    }
  });
});

describe("configuration", () => {
  test("a broken file is reported with line and remedy, and exit status 2", async () => {
    const file = join(temporaryFolder(), "broken.yaml");
    writeFileSync(file, "name: x\nlookup:\n  upstream:\n    - coap://[::1]\n");
    const checked = await runTributary(["check", "-c", file]);
    expect(checked.status).toBe(2);
    expect(checked.stderr).toMatch(new RegExp(`${file}:3:3: .*upstreams`));
    expect((await runTributary(["serve", "-c", file])).status).toBe(2);
  });
});
