import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "@tributary/cli";
import { coap, createServer } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { describeWithPeers, freePort, startAiocoapRd, temporaryFolder } from "../peers/peers.js";
import { FakeIo } from "./fake-node.js";

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startRd(): Promise<RunningNode> {
  const config = { name: "rd", listen: ["coap://127.0.0.1:0"], http: false, registration: {} };
  const rd = await startNode(config as never, { logger: silentLogger });
  ends.push(() => rd.close());
  return rd;
}

async function run(...args: string[]): Promise<{ status: number; text: string; errors: string }> {
  const io = new FakeIo();
  const status = await runCli(args, io);
  return { status, text: io.lines.join("\n"), errors: io.errors.join("\n") };
}

describe("tributary probe", () => {
  test("an RD that speaks the feed: how it is followed, and what that cost", async () => {
    const rd = await startRd();
    await coap.post(`${rd.uris[0]}/rd?ep=lamp7`, '</l>;rt="light"', { contentFormat: 40 });
    const { status, text } = await run("probe", rd.uris[0] ?? "");
    expect(status).toBe(0);
    expect(text).toMatch(/ is live$/m);
    expect(text).toMatch(new RegExp(`^endpoint lookup +${rd.uris[0]}/rd-lookup/ep$`, "m"));
    expect(text).toMatch(/^followed by +feed$/m);
    expect(text).toMatch(/^registrations +1$/m);
    expect(text).toMatch(/^left out +nothing$/m);
    expect(text).toMatch(/^cost +\d+ requests in [\d.]+ s$/m);
    expect(text).toMatch(/^feed +yes +changes alone are transferred$/m);
    // Probing leaves nothing behind.
    expect(rd.directory.counts().total).toBe(1);
  });

  test("--json has the same for programs", async () => {
    const rd = await startRd();
    const { text } = await run("probe", rd.uris[0] ?? "", "--json");
    expect(JSON.parse(text)).toMatchObject({
      phase: "live",
      method: "feed",
      registrations: 0,
      leftOut: {},
      isComplete: true,
    });
  });

  test("a server that is no RD is status 1, and says why", async () => {
    const server = await createServer()
      .get("/t", () => "20")
      .listen("coap://127.0.0.1:0");
    ends.push(() => server.close());
    const { status, text } = await run("probe", server.uri, "--timeout", "5");
    expect(status).toBe(1);
    expect(text.split("\n")[0]).toMatch(/ is (?!live)\w+: ./);
  });

  test.each([["http://127.0.0.1"], ["coap://127.0.0.1/rd"]])("%s is status 2", async (uri) => {
    expect((await run("probe", uri)).status).toBe(2);
  });
});

test("check --connect says which upstreams answer with lookups", async () => {
  const rd = await startRd();
  const other = await createServer()
    .get("/t", () => "20")
    .listen("coap://127.0.0.1:0");
  const gone = await createServer().listen("coap://127.0.0.1:0");
  await gone.close();
  ends.push(() => other.close());
  const file = join(temporaryFolder(), "lp.yaml");
  const upstreams = [
    { name: "rd", uris: [rd.uris[0], gone.uri] },
    { name: "other", uri: other.uri },
  ];
  writeFileSync(file, JSON.stringify({ lookup: { upstreams } }));
  const { status, text } = await run("check", "-c", file, "--connect");
  expect(status).toBe(1);
  expect(text).toMatch(new RegExp(`^ok +upstream rd at ${rd.uris[0]} +it answers, and advertises lookups$`, "m"));
  expect(text).toMatch(new RegExp(`^WRONG +upstream rd at ${gone.uri} +the peer cannot be reached`, "m"));
  expect(text).toMatch(
    new RegExp(`^WRONG +upstream other at ${other.uri} +it answers, and advertises no lookup$`, "m"),
  );
  const json = await run("check", "-c", file, "--connect", "--json");
  expect((JSON.parse(json.text) as { findings: object[] }).findings).toHaveLength(3);
  // Without it nothing is asked, and the file is right.
  expect((await run("check", "-c", file)).status).toBe(0);
});

describeWithPeers(["aiocoap"], "tributary probe of aiocoap-rd", () => {
  test("says how links are attributed without the feed", async () => {
    const port = await freePort("127.0.0.1");
    await startAiocoapRd({ bind: `127.0.0.1:${port}` });
    const rd = `coap://127.0.0.1:${port}`;
    for (const name of ["lamp1", "lamp2"])
      await coap.post(`${rd}/resourcedirectory/?ep=${name}&base=coap://${name}.example`, "</l>;rt=light", {
        contentFormat: 40,
      });
    const { status, text } = await run("probe", rd);
    expect([status, text]).toEqual([0, expect.stringMatching(/^followed by +(observe|poll)$/m)]);
    expect(text).toMatch(/^registrations +2$/m);
    expect(text).toMatch(/^feed +no /m);
    expect(text).toMatch(/^links are attributed by +(base|resource|href|ep|provenance)$/m);
  });
});
