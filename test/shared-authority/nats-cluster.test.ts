import { expect, test } from "vitest";
import { NatsCluster, type NatsServer } from "../harness/nats-cluster.js";
import { describeWithPeers, eventually } from "../peers/peers.js";

interface JetStreamState {
  readonly config: { readonly sync_always?: boolean };
  readonly meta_cluster?: { readonly leader?: string };
}

async function jetStreamState(server: NatsServer): Promise<JetStreamState> {
  return (await server.monitor("jsz")) as JetStreamState;
}

describeWithPeers(["nats"], "a cluster of NATS servers", () => {
  test("has a leader, flushes every write, and takes a server back that was killed", async () => {
    const cluster = await NatsCluster.start();
    expect(new Set(cluster.uris).size).toBe(3);
    for (const server of cluster.servers) {
      const state = await jetStreamState(server);
      // That a killed process loses nothing shows nothing of this: the page cache of the system survives it.
      expect(state.config.sync_always).toBe(true);
      expect(["n1", "n2", "n3"]).toContain(state.meta_cluster?.leader);
    }
    const before = (await jetStreamState(cluster.server(0))).meta_cluster?.leader;
    const leader = cluster.servers.find(({ name }) => name === before) ?? cluster.server(0);
    const [other = leader] = cluster.servers.filter((server) => server !== leader);
    await leader.kill();
    await eventually(
      async () => {
        const { meta_cluster } = await jetStreamState(other);
        return meta_cluster?.leader !== undefined && meta_cluster.leader !== before && meta_cluster.leader !== "";
      },
      { what: "another leader" },
    );
    await leader.start();
  });

  test("of one server serves alone", async () => {
    const cluster = await NatsCluster.start({ places: [{}], isSyncAlways: false });
    const state = await jetStreamState(cluster.server(0));
    expect(state).not.toHaveProperty("meta_cluster");
    expect(state.config.sync_always).toBeUndefined();
  });
});
