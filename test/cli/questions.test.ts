import { runCli } from "@tributary/cli";
import { coap } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { openWay } from "../harness/breakable-way.js";
import { FakeIo } from "./fake-node.js";

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(config: object): Promise<RunningNode> {
  const common = { listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0" };
  const node = await startNode({ ...common, ...config } as never, { logger: silentLogger });
  ends.push(() => node.close());
  return node;
}

async function register(rd: RunningNode, query: string, links = '</t>;rt="temp"'): Promise<string> {
  const response = await coap.post(`${rd.uris[0]}/rd?${query}`, links, { contentFormat: 40 });
  expect(response.code).toBe("2.01");
  return `${rd.uris[0]}${response.location}`;
}

async function run(...args: string[]): Promise<{ status: number; text: string }> {
  const io = new FakeIo();
  const status = await runCli(args, io);
  return { status, text: [...io.lines, ...io.errors].join("\n") };
}

const why = (node: RunningNode, ...criteria: string[]) =>
  run("why", ...criteria, "--at", node.httpUri ?? "", "--timeout", "1");

/** Asks until the answer has what it should have. */
async function until(ask: () => Promise<{ status: number; text: string }>, wanted: RegExp) {
  for (;;) {
    const answer = await ask();
    if (wanted.test(answer.text)) return answer;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("why, while something is wrong", () => {
  test("a lifetime that ended: nobody has it, and when it ended", async () => {
    const rd = await start({ name: "rd", registration: {} });
    const lp = await start({ name: "lp", lookup: { upstreams: [{ name: "rd", uri: rd.uris[0] }] } });
    const href = await register(rd, "ep=lamp7&lt=1");
    await until(() => why(lp, "ep=lamp7"), /shown +lamp7/);
    const { status, text } = await until(() => why(lp, "ep=lamp7"), /no such endpoint +no such endpoint[\s\S]*expired/);
    expect([status, text]).toEqual([1, expect.stringMatching(/knows no registration of lamp7/)]);
    expect(text).toMatch(new RegExp(`Z +expired ${href} at rd$`, "m"));
    expect(text).toMatch(/rd +live +its copy is complete, and it has no such endpoint +no such endpoint/);
  });

  test("a full budget: what is missing for lack of memory is not said to be unknown", async () => {
    const rd = await start({ name: "rd", registration: {} });
    const limits = { memory: 1_048_576 };
    const lp = await start({ name: "lp", lookup: { upstreams: [{ name: "rd", uri: rd.uris[0] }] }, limits });
    const links = Array.from({ length: 500 }, (_, at) => `</${at}>;rt="some-type-${at}"`).join();
    for (let at = 0; at < 40; at++) await register(rd, `ep=node${at}`, links);
    const { text } = await until(async () => {
      for (let at = 0; at < 40; at++) {
        const answer = await why(lp, `ep=node${at}`);
        if (/memory/.test(answer.text)) return answer;
      }
      return { status: 0, text: "" };
    }, /left out/);
    expect(text).toMatch(/knows no registration of node\d+/);
    expect(text).toMatch(/rd +live +does not list it, but parts of it are left out: \d+ memory +coap:\S+\/reg\//);
  });

  test("an RD that refuses to be copied, and one that answers for itself", async () => {
    const rd = await start({ name: "rd", registration: { replicas: ["2001:db8::9/128"] } });
    await register(rd, "ep=lamp7");
    const upstreams = [{ name: "rd", uri: rd.uris[0] }];
    // It is followed by its lookups instead.
    const lp = await start({ name: "lp", lookup: { upstreams } });
    const copied = await until(() => why(lp, "ep=lamp7"), /shown +lamp7/);
    expect(copied.text).toMatch(/rd +live +its copy has the endpoint +coap:\S+\/reg\//);
    const [status] = lp.upstreams();
    expect([status?.capabilities.feed, status?.method]).toEqual(["refused", "observe"]);
    const forwarding = await start({ name: "lp2", lookup: { upstreams: [{ ...upstreams[0], mode: "forward" }] } });
    const asked = await until(() => why(forwarding, "ep=lamp7"), /asked for each lookup/);
    expect([asked.status, asked.text]).toEqual([
      0,
      expect.stringMatching(/rd +\S+ +nothing is copied.*coap:\S+\/reg\//),
    ]);
  });

  test("a split: each proxy says what it knows, diff shows where they differ, and afterwards they agree", async () => {
    const listen = ["coap://127.0.0.1:0", "coap+tcp://127.0.0.1:0"];
    const [one, two] = [
      await start({ name: "rd-a", listen, registration: {} }),
      await start({ name: "rd-b", listen, registration: {} }),
    ];
    const way = await openWay(Number(/:(\d+)$/.exec(two.uris[1] ?? "")?.[1]));
    ends.push(() => way.close());
    const direct = [
      { name: "rd-a", uri: one.uris[0] },
      { name: "rd-b", uri: two.uris[0] },
    ];
    const whole = await start({ name: "whole", lookup: { upstreams: direct } });
    const upstreams = [direct[0], { name: "rd-b", uri: way.uri }];
    const cutOff = await start({ name: "cut-off", lookup: { upstreams, timeout: "500ms" } });
    await register(one, "ep=lamp7&base=coap://[2001:db8::7]");
    for (const lp of [whole, cutOff]) await until(() => why(lp, "ep=lamp7"), /shown +lamp7[^\n]* at rd-a/);
    way.cut();
    await until(() => why(cutOff, "ep=lamp7"), /rd-b +(?!live)\S+ +not reached/);
    // The lamp moves to the RD that only one of the proxies reaches.
    await register(two, "ep=lamp7&base=coap://[2001:db8::7]", '</moved>;rt="temp"');
    const seen = await until(() => why(whole, "ep=lamp7"), /shown +lamp7[^\n]* at rd-b/);
    expect(seen.text).toMatch(/hidden +lamp7[^\n]* at rd-a +.*renewed \d+\.\d s before the one at/);
    const kept = await why(cutOff, "ep=lamp7");
    expect(kept.text).toMatch(/shown +lamp7[^\n]* at rd-a/);
    const differ = await run("diff", whole.httpUri ?? "", cutOff.httpUri ?? "");
    expect(differ.status).toBe(1);
    expect(differ.text).toMatch(/^< <coap:\/\/\[2001:db8::7\]\/moved>/m);
    expect(differ.text).toMatch(/^> <coap:\/\/\[2001:db8::7\]\/t>/m);
    way.heal();
    await until(() => run("diff", whole.httpUri ?? "", cutOff.httpUri ?? ""), /no difference: 2 links/);
    expect(whole.status().digest).toBe(cutOff.status().digest);
  });
});
