import { openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { expect, onTestFinished, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import {
  aiocoapClient,
  coapClient,
  describeWithPeers,
  eventually,
  freePort,
  startAiocoapObserver,
  startAiocoapRd,
  startAiocoapServer,
  startCoapObserver,
  startCoapServer,
} from "../peers/peers.js";
import { SIXTY_LINKS, useRdByAiocoap } from "./aiocoap-session.js";

const TCP = { AIOCOAP_CLIENT_TRANSPORT: "tcpclient", AIOCOAP_SERVER_TRANSPORT: "tcpserver" };

describeWithPeers(["libcoap", "aiocoap"], "CoAP over TCP with programs that were not written for this", () => {
  test("COA-07 libcoap: discovery, registration, lookup, update, removal, errors", async () => {
    const node = await openNode("registration: {}", systemClock(), "coap+tcp");
    const ask = async (method: string, path: string, ...more: string[]) =>
      coapClient(["-m", method, ...more, `${node.uri}${path}`]);
    expect((await ask("get", "/.well-known/core?rt=core.rd*")).stdout).toContain('rt="core.rd-lookup-ep"');
    await ask("post", "/rd?ep=big&base=coap://h", "-t", "40", "-e", SIXTY_LINKS);
    const whole = (await ask("get", "/rd-lookup/res?ep=big")).stdout;
    expect(whole.match(/<coap:\/\/h\/sensors\//g)).toHaveLength(60);
    const href = /<(.*?)>/.exec((await ask("get", "/rd-lookup/ep?ep=big")).stdout)?.[1] ?? "";
    expect((await ask("post", `${href}?lt=60`)).stderr).toBe("");
    await ask("delete", href);
    expect((await ask("delete", href)).stderr).toMatch(/^4\.04/);
    expect(node.counters.rejected()).toEqual(new Map([["not-found", expect.any(Number)]]));
  });

  test("COA-07 aiocoap: discovery, registration, lookup, removal", async () => {
    const node = await openNode("registration: {}", systemClock(), "coap+tcp");
    const session = await useRdByAiocoap(node.uri, TCP);
    expect(session).toMatchObject({
      discovered: expect.stringContaining("core.rd-lookup-ep"),
      sensors: 60,
      afterRemoval: "",
    });
  });

  test("COA-08 aiocoap fetches a document beyond its largest message", async () => {
    const node = await openNode("registration: {}", systemClock(), "coap+tcp");
    const client = await openTestClient();
    for (let index = 0; index < 400; index++)
      await client.register(node.uri, [`ep=e${index}`, "base=coap://h"], SIXTY_LINKS);
    const whole = await aiocoapClient(["-m", "GET", `${node.uri}/rd-lookup/res`], { env: TCP });
    expect(whole.stdout.match(/sensors\//g)).toHaveLength(400 * 60); // some 1.8 MB
  });

  test("libcoap and aiocoap observe a lookup at a proxy and are notified of changes at the RD", async () => {
    const rd = await openNode("registration: {}", systemClock(), "coap+tcp");
    const proxy = await openNode(`lookup: { upstreams: ["${rd.uri}"] }`, systemClock(), "coap+tcp");
    await eventually(() => proxy.upstreams()[0]?.phase === "live", { what: "the proxy to be live" });
    const uri = `${proxy.uri}/rd-lookup/ep?d=watched`;
    const observers = { libcoap: startCoapObserver(uri), aiocoap: startAiocoapObserver(uri, { env: TCP }) };
    const client = await openTestClient();
    await eventually(
      async () => {
        // The first change may come before an observer is there; it is then in its first answer.
        await client.register(rd.uri, ["ep=first", "d=watched", "base=coap://h"]);
        return Object.values(observers).every((observer) => observer.stdout().includes("first"));
      },
      { what: "two observers", intervalMs: 200 },
    );
    await client.register(rd.uri, ["ep=second", "d=watched", "base=coap://h"]);
    for (const [name, observer] of Object.entries(observers)) {
      await eventually(() => observer.stdout().includes("second"), { what: `${name} to be notified` });
    }
  });

  test("an RD of aiocoap over TCP is followed by observing its lookups", async () => {
    const foreign = await startAiocoapRd({ env: TCP });
    const uri = foreign.uri.replace("coap://", "coap+tcp://");
    const client = await openTestClient();
    const proxy = await openNode(`lookup: { upstreams: [{ name: foreign, uri: "${uri}" }] }`);
    await eventually(() => proxy.upstreams()[0]?.phase === "live", { what: "the proxy to be live" });
    const register = (ep: string) =>
      client.coap.request({
        method: 2,
        uri: `${uri}/resourcedirectory/`,
        query: [`ep=${ep}`, "base=coap://h"],
        contentFormat: 40,
        payload: Buffer.from("</t>;rt=temp"),
      });
    expect((await register("one")).code).toBe(65);
    const shown = () => client.targets(`${proxy.uri}/rd-lookup/res`, ["rt=temp"]);
    await eventually(async () => (await shown()).length === 1, { what: "the registration at the proxy" });
    expect(proxy.upstreams()[0]?.method).toBe("observe");
  });

  test.each(["libcoap", "aiocoap"] as const)("our client asks and observes a server of %s", async (name) => {
    const port = await freePort("::1");
    const uri = `coap+tcp://[::1]:${port}`;
    if (name === "libcoap") startCoapServer(port);
    else startAiocoapServer(port);
    const env = { clock: systemClock(), random: Math.random, logger: silentLogger };
    const client = await openCoapClient({ env });
    onTestFinished(() => client.close());
    const ask = (path: string) => client.request({ method: 1, uri: uri + path }, { timeoutMs: 60_000 });
    await eventually(
      () =>
        ask("/.well-known/core").then(
          ({ code }) => code === 69,
          () => false,
        ),
      { what: "the server" },
    );
    expect(await client.ping(uri)).toBe(true);
    const times: string[] = [];
    const observation = client.observe(
      { method: 1, uri: `${uri}/time` },
      { onNotification: ({ payload }) => void times.push(Buffer.from(payload).toString()), onEnd: () => {} },
    );
    await eventually(() => times.length >= 3, { what: "three notifications" });
    await observation.close();
    if (name === "aiocoap") expect((await ask("/large")).payload.length).toBe(3_000_000);
  });
});
