import { coap } from "@tributary/coap-transport";
import type { RunningNode } from "@tributary/node";
import { expect, test } from "vitest";
import { startTestNode } from "../harness/nodes.js";
import { MODES } from "../modes/promises.js";
import { describeWithPeers, freePort, startAiocoapRd } from "../peers/peers.js";

/** A plain directory at two addresses; the same registrations at both, as instances over one database have. */
async function startTwins(scheme: "coap" | "coap+tcp"): Promise<[RunningNode, RunningNode]> {
  const twins = await Promise.all(
    ["rd-1", "rd-2"].map((name) => startTestNode({ name, listen: [`${scheme}://127.0.0.1:0`], registration: {} })),
  );
  for (const twin of twins)
    await coap.post(`${twin.uris[0]}/rd?ep=lamp1&d=hall&base=coap://[2001:db8::1]`, '</l>;rt="light"', {
      contentFormat: 40,
    });
  return twins as [RunningNode, RunningNode];
}

const CASES = MODES.flatMap((mode) =>
  (["coap", "coap+tcp"] as const).flatMap((scheme) =>
    [false, true].map((isCoHosted) => ({ mode, scheme, isCoHosted })),
  ),
);

test.each(CASES)(
  "mode $mode over $scheme, co-hosted $isCoHosted: when one address fails the other is used, and lookups go on",
  async ({ mode, scheme, isCoHosted }) => {
    const [one, two] = await startTwins(scheme);
    const settings = mode === "filters" ? { filters: ["d=hall"] } : { mode };
    const uris = [one.uris[0], two.uris[0]];
    const lp = await startTestNode({
      name: "lp",
      listen: ["coap://127.0.0.1:0"],
      ...(isCoHosted ? { registration: {} } : {}),
      lookup: { timeout: "500ms", upstreams: [{ name: "rd", uris, ...settings }], cache: { entries: 0 } },
    });
    const targets = async () => (await coap.get(`${lp.uris[0]}/rd-lookup/res?d=hall`)).text();
    const shown = '<coap://[2001:db8::1]/l>;rt="light"';
    const until = async (isDone: () => Promise<boolean>) => {
      while (!(await isDone())) await new Promise((resolve) => setImmediate(resolve));
    };
    await until(async () => (await targets()) === shown);
    await one.close();
    await coap.post(`${two.uris[0]}/rd?ep=lamp2&d=hall&base=coap://[2001:db8::2]`, "</new>", { contentFormat: 40 });
    await until(
      async () => (await targets()).includes("</new>") || (await targets()).includes("coap://[2001:db8::2]/new"),
    );
    expect(await targets()).toContain(shown);
    expect(lp.upstreams()[0]?.uri).toBe(uris[0]);
  },
  30_000,
);

describeWithPeers(["aiocoap"], "an RD without the feed", () => {
  test.each(["replicate", "forward"])(
    "mode %s: when one address of it is gone, the other is used",
    async (mode) => {
      const rds = await Promise.all(
        [await freePort("127.0.0.1"), await freePort("127.0.0.1")].map((port) =>
          startAiocoapRd({ bind: `127.0.0.1:${port}` }),
        ),
      );
      const [one, two] = rds;
      if (one === undefined || two === undefined) throw new Error("there are two RDs");
      const register = (uri: string, ep: string) =>
        coap.post(`${uri}/resourcedirectory/?ep=${ep}&base=coap://${ep}.example`, "</l>;rt=light", {
          contentFormat: 40,
        });
      for (const { uri } of rds) await register(uri, "lamp1");
      const lp = await startTestNode({
        name: "lp",
        listen: ["coap://127.0.0.1:0"],
        lookup: {
          timeout: "500ms",
          upstreams: [{ name: "rd", uris: [one.uri, two.uri], mode, poll: "1s" }],
          cache: { entries: 0 },
        },
      });
      const shows = async (text: string) => (await coap.get(`${lp.uris[0]}/rd-lookup/res`)).text().includes(text);
      const until = async (text: string) => {
        while (!(await shows(text))) await new Promise((resolve) => setImmediate(resolve));
      };
      await until("coap://lamp1.example/l");
      await one.stop();
      await register(two.uri, "lamp2");
      await until("coap://lamp2.example/l");
      expect(await shows("coap://lamp1.example/l")).toBe(true);
    },
    60_000,
  );
});
