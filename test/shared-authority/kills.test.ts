import { CODE } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually } from "../peers/peers.js";
import { type Instance, pathOf, register, renew, startInstances } from "./instances.js";

/** Registrations before, and after, something is killed. */
const ROUND = 100;

describeWithPeers(["nats"], "what was acknowledged (draft 6.1)", () => {
  test("outlives an instance and a server that are killed under load", async () => {
    const cluster = await NatsCluster.start();
    const instances = await startInstances(cluster);
    const [one, two, three] = instances as [Instance, Instance, Instance];
    const client = await openTestClient();
    const acknowledged = new Map<string, string>();
    const registerAt = async (rds: readonly Instance[], name: string) => {
      const send = async (at: number) => {
        const ep = `${name}${at}`;
        const path = pathOf(await register(client.coap, rds[at % rds.length]?.uri ?? "", [`ep=${ep}`, "lt=6000"]));
        if (path !== undefined) acknowledged.set(ep, path);
      };
      await Promise.all(Array.from({ length: ROUND }, (_, at) => send(at)));
    };
    await registerAt(instances, "before");
    expect(acknowledged.size).toBe(ROUND);
    const underLoad = registerAt([two, three], "while");
    await Promise.all([one.kill(), cluster.server(0).kill()]);
    await underLoad;
    // The others elect a leader, and take writes again.
    await eventually(async () => (await register(client.coap, two.uri, ["ep=again", "lt=600"])).code === CODE.CREATED);
    await registerAt([two, three], "after");
    for (const { uri } of [two, three]) {
      await eventually(async () => {
        const shown = new Set(await client.targets(`${uri}/rd-lookup/ep`));
        expect([...acknowledged.values()].filter((path) => !shown.has(path))).toEqual([]);
        return true;
      });
    }
    // Renewed at another instance, at the same path.
    const [path = ""] = acknowledged.values();
    expect((await renew(client.coap, three.uri, path)).code).toBe(CODE.CHANGED);
  });
});
