import { CODE, CONTENT_FORMAT, listenCoap, type RequestHandler } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { expect, onTestFinished, test } from "vitest";
import { startServer } from "../bench/measured-process.js";
import { eventually, freePort } from "../peers/peers.js";
import { LONGEST_COLLECTION_MS, LONGEST_TURN_MS, type Longest, leastOf, startMeasuredNode } from "./turns.js";

const COUNT = 100_000;

interface UpstreamView {
  readonly phase: string;
  readonly registrations: number;
}

/** A proxy that follows one RD, once it has started. */
async function follow(uri: string) {
  const http = `127.0.0.1:${await freePort("127.0.0.1")}`;
  const config = { listen: ["coap://127.0.0.1:0"], http, lookup: { upstreams: [{ name: "rd", uri }] } };
  const node = await startMeasuredNode(config);
  // What a process does while it starts is not a peer's doing.
  await node.longest();
  const view = async () => ((await (await fetch(`http://${http}/api/upstreams`)).json()) as UpstreamView[])[0];
  return { node, view };
}

/** Measures what a proxy does with one RD from its start on, of one proxy or the better of several. */
async function judge(what: string, measure: () => Promise<Longest>): Promise<void> {
  const longestMs = await leastOf(LONGEST_TURN_MS, async () => {
    const { longestMs, longestCollectionMs } = await measure();
    const collection = `longest garbage collection ${longestCollectionMs.toFixed(0)} ms`;
    process.stderr.write(`${what}: longest turn ${longestMs.toFixed(1)} ms of CPU time, ${collection}\n`);
    expect(longestCollectionMs).toBeLessThan(LONGEST_COLLECTION_MS);
    return longestMs;
  });
  expect(longestMs).toBeLessThan(LONGEST_TURN_MS);
}

test("a lookup document of a plain RD with 100,000 endpoints is read in turns", async () => {
  const encode = (text: string) => new TextEncoder().encode(text);
  const entry = (at: number) => `</reg/${at}>;ep="e${at}";base="coap://[2001:db8::1]:${at % 60_000}";lt=3600`;
  const documents = new Map([
    ["/.well-known/core", encode('</l/ep>;rt="core.rd-lookup-ep",</l/res>;rt="core.rd-lookup-res"')],
    ["/l/ep", encode(Array.from({ length: COUNT }, (_, at) => entry(at)).join())],
    ["/l/res", encode("")],
  ]);
  let asked = 0;
  const handler: RequestHandler = ({ path, query }) => {
    if (query.length > 0) asked++;
    const payload = documents.get(`/${path.join("/")}`);
    if (payload === undefined) return { code: CODE.NOT_FOUND };
    return { code: CODE.CONTENT, contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload };
  };
  const rd = await listenCoap(
    { env: { clock: systemClock(), random: Math.random, logger: silentLogger }, handler },
    { uri: "coap://127.0.0.1:0" },
  );
  onTestFinished(() => rd.close());
  await judge("plain RD", async () => {
    asked = 0;
    const { node } = await follow(rd.uri);
    // Once single registrations are asked for, the document has been read, compared and taken over.
    await eventually(() => asked > 100, { what: "requests for the links of registrations", timeoutMs: 100_000 });
    const longest = await node.longest();
    await node.stop();
    return longest;
  });
}, 500_000);

test("the feed of an RD with 100,000 registrations is taken over in turns", async () => {
  const rd = await startServer("rd-farm.ts", [1, COUNT]);
  onTestFinished(() => rd.stop().then(() => undefined));
  await judge("feed", async () => {
    const { node, view } = await follow(`coap://127.0.0.1:${rd.port}`);
    await eventually(async () => (await view())?.phase === "live" || undefined, {
      what: "the copy",
      timeoutMs: 100_000,
    });
    expect((await view())?.registrations).toBe(COUNT);
    const longest = await node.longest();
    await node.stop();
    return longest;
  });
}, 500_000);
