import { coap } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, expect, test } from "vitest";
import { MODES } from "../modes/promises.js";

const nodes: RunningNode[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
});

async function start(config: object): Promise<RunningNode> {
  const node = await startNode({ http: false, ...config } as never, { logger: silentLogger });
  nodes.push(node);
  return node;
}

/** A plain directory at two addresses; the same registrations at both, as instances over one database have. */
async function startTwins(scheme: "coap" | "coap+tcp"): Promise<[RunningNode, RunningNode]> {
  const twins = await Promise.all(
    ["rd-1", "rd-2"].map((name) => start({ name, listen: [`${scheme}://127.0.0.1:0`], registration: {} })),
  );
  for (const twin of twins)
    await coap.post(`${twin.uris[0]}/rd?ep=lamp1&d=hall&base=coap://[2001:db8::1]`, '</l>;rt="light"', {
      contentFormat: 40,
    });
  return twins as [RunningNode, RunningNode];
}

test.each(MODES.flatMap((mode) => (["coap", "coap+tcp"] as const).map((scheme) => ({ mode, scheme }))))(
  "mode $mode over $scheme: when one address fails the other is used, and lookups go on",
  async ({ mode, scheme }) => {
    const [one, two] = await startTwins(scheme);
    const settings = mode === "filters" ? { filters: ["d=hall"] } : { mode };
    const uris = [one.uris[0], two.uris[0]];
    const lp = await start({
      name: "lp",
      listen: ["coap://127.0.0.1:0"],
      lookup: { timeout: "500ms", upstreams: [{ name: "rd", uris, ...settings }], cache: { entries: 0 } },
    });
    const targets = async () => (await coap.get(`${lp.uris[0]}/rd-lookup/res?d=hall`)).text();
    const shown = '<coap://[2001:db8::1]/l>;rt="light"';
    const until = async (isDone: () => Promise<boolean>) => {
      while (!(await isDone())) await new Promise((resolve) => setImmediate(resolve));
    };
    await until(async () => (await targets()) === shown);
    await nodes.splice(nodes.indexOf(one), 1)[0]?.close();
    await coap.post(`${two.uris[0]}/rd?ep=lamp2&d=hall&base=coap://[2001:db8::2]`, "</new>", { contentFormat: 40 });
    await until(
      async () => (await targets()).includes("</new>") || (await targets()).includes("coap://[2001:db8::2]/new"),
    );
    expect(await targets()).toContain(shown);
    expect(lp.upstreams()[0]?.uri).toBe(uris[0]);
  },
  30_000,
);
