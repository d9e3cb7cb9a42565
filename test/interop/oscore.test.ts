import { join } from "node:path";
import { runCli } from "@tributary/cli";
import { CODE, METHOD } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { FakeIo } from "../cli/fake-node.js";
import { openTestClient, startTestNode } from "../harness/nodes.js";
import { openContextClient, writeContextPair } from "../harness/oscore-contexts.js";
import {
  OVER_TCP,
  OVER_UDP,
  startProtectedObserver,
  startProtectedRd,
  startProtectedServer,
  startProxiedServer,
  writeCredentials,
} from "../peers/aiocoap-oscore.js";
import {
  aiocoapClient,
  describeWithPeers,
  eventually,
  freePort,
  temporaryFolder,
  untilWritten,
} from "../peers/peers.js";
import { useRdByAiocoap } from "./aiocoap-session.js";

/** A folder of contexts for a node, and the other half of one of them, which aiocoap has. */
function contextsWith(name: string): { readonly ours: string; readonly theirs: string } {
  const root = temporaryFolder();
  writeContextPair(join(root, "ours", name), join(root, "theirs"));
  return { ours: join(root, "ours"), theirs: join(root, "theirs") };
}

describeWithPeers(["aiocoap"], "OSCORE with aiocoap as the client", () => {
  test.each([
    ["coap", OVER_UDP],
    ["coap+tcp", OVER_TCP],
  ])(
    "%s: discovery, registration, a lookup of many blocks, removal",
    async (scheme, transports) => {
      const { ours, theirs } = contextsWith("aiocoap");
      const rd = await startTestNode({
        name: "rd",
        registration: {},
        oscore: { contexts: ours },
        listen: [`${scheme}://[::1]:0`],
      });
      const [uri = ""] = rd.uris;
      const credentials = writeCredentials({ [`${uri}/*`]: theirs });
      const session = await useRdByAiocoap(uri, transports, ["--credentials", credentials]);
      expect(session).toMatchObject({
        discovered: expect.stringContaining("core.rd-lookup-ep"),
        sensors: 60,
        afterRemoval: "",
      });
    },
    60_000,
  );

  test.each([
    ["coap", OVER_UDP],
    ["coap+tcp", OVER_TCP],
  ])(
    "%s: a lookup is observed",
    async (scheme, transports) => {
      const { ours, theirs } = contextsWith("aiocoap");
      const rd = await startTestNode({
        name: "rd",
        registration: {},
        oscore: { contexts: ours },
        listen: [`${scheme}://[::1]:0`],
      });
      const [uri = ""] = rd.uris;
      const credentials = writeCredentials({ [`${uri}/*`]: theirs });
      const observer = startProtectedObserver(`${uri}/rd-lookup/ep?d=hall`, credentials, transports);
      await untilWritten(observer, "stdout", /^\n/);
      const client = await openTestClient();
      await client.register(uri, ["ep=lamp1", "d=hall", "base=coap://h"]);
      await untilWritten(observer, "stdout", /ep="?lamp1/);
      await client.register(uri, ["ep=lamp2", "d=hall", "base=coap://h"]);
      await untilWritten(observer, "stdout", /ep="?lamp2/);
    },
    60_000,
  );

  test("with another key there is no answer that it takes", async () => {
    const { ours } = contextsWith("aiocoap");
    const { theirs } = contextsWith("aiocoap");
    const rd = await startTestNode({
      name: "rd",
      registration: {},
      oscore: { contexts: ours },
      listen: ["coap://[::1]:0"],
    });
    const [uri = ""] = rd.uris;
    const credentials = writeCredentials({ [`${uri}/*`]: theirs });
    const { stdout, status } = await aiocoapClient(["--credentials", credentials, `${uri}/rd-lookup/ep`], {
      env: OVER_UDP,
    });
    expect(status).not.toBe(0);
    expect(stdout).toBe("");
  }, 60_000);
});

describeWithPeers(["aiocoap"], "OSCORE with aiocoap as the server", () => {
  test("GET, PUT, bodies of many blocks in both directions, Observe", async () => {
    const { ours, theirs } = contextsWith("server");
    const port = await freePort("::1");
    const server = startProtectedServer(writeCredentials({ ":tributary": theirs }), port);
    await untilWritten(server, "stdout", /ready/);
    const { client } = await openContextClient(ours);
    const uri = `coap://[::1]:${port}`;
    const ask = (method: number, path: string, payload?: Uint8Array) =>
      client.request({
        method,
        uri: `${uri}/${path}`,
        context: "server",
        ...(payload === undefined ? {} : { payload }),
      });
    expect((await client.request({ method: METHOD.GET, uri: `${uri}/state` })).code).toBe(CODE.UNAUTHORIZED);
    expect(Buffer.from((await ask(METHOD.GET, "state")).payload).toString()).toBe("closed");
    const seen: string[] = [];
    const observation = client.observe(
      { method: METHOD.GET, uri: `${uri}/state`, context: "server" },
      { onNotification: ({ payload }) => void seen.push(Buffer.from(payload).toString()), onEnd: () => {} },
    );
    await eventually(() => seen.length === 1, { what: "the first state" });
    expect((await ask(METHOD.PUT, "state", Buffer.from("open"))).code).toBe(CODE.CHANGED);
    await eventually(() => seen.at(-1) === "open", { what: "the second state" });
    await observation.close();
    const large = Uint8Array.from({ length: 20_480 }, (_none, index) => index % 256);
    expect(Buffer.compare((await ask(METHOD.GET, "large")).payload, large)).toBe(0);
    expect(Buffer.compare((await ask(METHOD.PUT, "echo", large)).payload, large)).toBe(0);
  }, 60_000);

  test.each(["replicate", "forward"])(
    "an LP in mode %s above aiocoap's RD",
    async (mode) => {
      const { ours, theirs } = contextsWith("foreign");
      const port = await freePort("::1");
      const rd = { ...startProtectedRd(writeCredentials({ ":tributary": theirs }), port), uri: `coap://[::1]:${port}` };
      await untilWritten(rd, "stdout", /ready/);
      const device = await openTestClient();
      const register = (ep: string) =>
        device.coap.request({
          ...{ method: METHOD.POST, uri: `${rd.uri}/resourcedirectory/`, contentFormat: 40 },
          query: [`ep=${ep}`, `base=coap://${ep}.example`],
          payload: Buffer.from("</l>"),
        });
      expect((await register("lamp1")).code).toBe(CODE.CREATED);
      const lp = await startTestNode({
        ...{ name: "lp", listen: ["coap://[::1]:0"], oscore: { contexts: ours } },
        lookup: {
          upstreams: [{ name: "foreign", uri: rd.uri, mode, poll: "1s", oscore: "foreign" }],
          cache: { entries: 0 },
        },
      });
      const shown = () => device.targets(`${lp.uris[0]}/rd-lookup/res`);
      await eventually(async () => (await shown()).join() === "coap://lamp1.example/l", { what: "lamp1" });
      expect((await register("lamp2")).code).toBe(CODE.CREATED);
      await eventually(async () => (await shown()).includes("coap://lamp2.example/l"), { what: "lamp2" });
      expect(lp.upstreams()[0]?.phase).toBe("live");
    },
    60_000,
  );
});

describeWithPeers(["aiocoap"], "commands with OSCORE at an RD of aiocoap", () => {
  test("register, lookup, probe", async () => {
    const { ours, theirs } = contextsWith("foreign");
    const port = await freePort("::1");
    const rd = startProtectedRd(writeCredentials({ ":tributary": theirs }), port);
    await untilWritten(rd, "stdout", /ready/);
    const protection = ["--oscore", join(ours, "foreign")];
    const uri = `coap://[::1]:${port}`;
    const run = async (...args: string[]) => {
      const io = new FakeIo();
      const status = await runCli([...args, ...protection], io);
      return { status, text: io.lines.join("\n") };
    };
    const io = new FakeIo();
    const options = ["--at", uri, "--ep", "door", "--base", "coap://door.example", ...protection];
    const done = runCli(["register", ...options, "</state>;rt=state"], io);
    await io.line(/^registered coap:/);
    const plain = await (await openTestClient()).targets(`${uri}/resource-lookup/`, ["rt=state"]);
    expect(plain).toEqual(["coap://door.example/state"]);
    io.stop();
    expect(await done).toBe(0);
    expect(await run("lookup", "res", "--at", uri)).toEqual({ status: 0, text: "" });
    const probed = await run("probe", uri);
    expect(probed.status).toBe(0);
    expect(probed.text).toMatch(/^followed by +(?!feed)/m);
  }, 60_000);
});

describeWithPeers(["aiocoap"], "an endpoint of aiocoap that only calls out, proxied by an RD (draft 6.3)", () => {
  test("what a client of aiocoap asks it under OSCORE passes untouched: GET, PUT, a body of many blocks, Observe", async () => {
    const root = temporaryFolder();
    // The RD has none of the keys.
    writeContextPair(join(root, "client"), join(root, "endpoint"));
    writeContextPair(join(root, "ours", "door"), join(root, "endpoint-2"));
    const [port, proxied] = [await freePort("::1"), await freePort("::1")];
    await startTestNode({
      name: "rd",
      listen: [`coap://[::1]:${port}`, `coap+tcp://[::1]:${port}`],
      registration: { proxy: { ports: `${proxied}` } },
    });
    const endpoint = startProxiedServer(
      writeCredentials({ ":client": join(root, "endpoint"), ":ours": join(root, "endpoint-2") }),
      `coap+tcp://[::1]:${port}`,
    );
    await untilWritten(endpoint, "stdout", /registered 2\.01/);
    const [base = ""] = await (await openTestClient()).targets(`coap://[::1]:${port}/rd-lookup/res`, ["rt=state"]);
    const uri = base.replace(/[/]state$/, "");
    const credentials = writeCredentials({ [`${uri}/*`]: join(root, "client") });
    const ask = async (...args: string[]) =>
      (await aiocoapClient(["--credentials", credentials, ...args], { env: OVER_UDP })).stdout;
    expect(await ask(`${uri}/state`)).toBe("closed");
    await ask("-m", "PUT", "--payload", "ajar", `${uri}/state`);
    expect(await ask(`${uri}/state`)).toBe("ajar");
    const long = "0123456789".repeat(1000);
    expect(await ask("-m", "PUT", "--payload", long, `${uri}/echo`)).toBe(long);
    const observer = startProtectedObserver(`${uri}/state`, credentials);
    await untilWritten(observer, "stdout", /^ajar/);
    const { client } = await openContextClient(join(root, "ours"));
    const put = { method: METHOD.PUT, uri: `${uri}/state`, payload: Buffer.from("open"), context: "door" };
    expect((await client.request(put)).code).toBe(CODE.CHANGED);
    await untilWritten(observer, "stdout", /^open/m);
    const reader = await openTestClient();
    expect((await reader.get(`${uri}/state`)).code).toBe(CODE.UNAUTHORIZED);
  }, 60_000);
});
