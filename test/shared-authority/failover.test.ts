import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually, freePort, startTributary } from "../peers/peers.js";
import { type Instance, pathOf, register, startInstances } from "./instances.js";

const REGISTRATIONS = 500;
const NEW = 5;

interface UpstreamView {
  readonly phase: string;
  readonly feedBytes: number;
  readonly registrations: number;
}

describeWithPeers(["nats"], "a proxy above instances of one RD (draft 4.1)", () => {
  test("goes on at another instance when its own is killed, and is sent what changed alone", async () => {
    const cluster = await NatsCluster.start();
    const [one, two] = (await startInstances(cluster)) as [Instance, Instance];
    const client = await openTestClient();
    const registerAll = (rd: Instance, from: number, count: number) =>
      Promise.all(
        Array.from({ length: count }, async (_, at) =>
          pathOf(await register(client.coap, rd.uri, [`ep=node${from + at}`, "lt=6000"])),
        ),
      );
    await registerAll(one, 0, REGISTRATIONS);
    const http = `127.0.0.1:${await freePort("127.0.0.1")}`;
    const proxy = await startTributary({
      config: {
        name: "lp",
        listen: ["coap://[::1]:0"],
        http,
        lookup: { upstreams: [{ name: "rd", uris: [one.uri, two.uri] }], timeout: "1s" },
      },
    });
    const view = async (): Promise<UpstreamView> => {
      const [upstream] = (await (await fetch(`http://${http}/api/upstreams`)).json()) as UpstreamView[];
      return upstream as UpstreamView;
    };
    await eventually(async () => (await view()).registrations === REGISTRATIONS);
    const first = (await view()).feedBytes;
    const shown = new Set(await client.targets(`${proxy.uris[0]}/rd-lookup/ep`));
    await one.kill();
    await registerAll(two, REGISTRATIONS, NEW);
    await eventually(async () => {
      const { phase, registrations } = await view();
      return phase === "live" && registrations === REGISTRATIONS + NEW;
    });
    const { feedBytes } = await view();
    // The documents have the registrations with their links; another whole copy would double what was sent.
    expect(feedBytes - first).toBeLessThan(first / 4);
    // One RD under one name, whichever instance answers.
    const now = await client.targets(`${proxy.uris[0]}/rd-lookup/ep`);
    expect(now.filter((target) => shown.has(target))).toHaveLength(REGISTRATIONS);
    expect(now.every((target) => target.startsWith(one.uri))).toBe(true);
  });
});
