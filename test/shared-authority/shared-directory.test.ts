import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { CODE } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually } from "../peers/peers.js";
import { pathOf, register, renew, startInstance, startInstances } from "./instances.js";

/** How many of the messages of the stream were written with others. */
async function writtenTogether({ uris }: NatsCluster): Promise<number> {
  const connection = await connect({ servers: [...uris] });
  const jsm = await jetstreamManager(connection);
  const { state } = await jsm.streams.info("tributary");
  let count = 0;
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await jsm.streams.getMessage("tributary", { seq }).catch(() => null);
    if (message?.header?.has("Nats-Batch-Id") === true) count++;
  }
  await connection.close();
  return count;
}

/** Registrations of one (ep, d) at once, at all instances together. */
const AT_ONCE = 1000;
/** A UUID of version 8 (RFC 9562 section 5.8). */
const PATH = /^\/reg\/[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describeWithPeers(["nats"], "instances that share one directory (draft 4.1)", () => {
  test("serve each other's registrations at the same path", async () => {
    const cluster = await NatsCluster.start();
    const [one, two, three] = await startInstances(cluster);
    if (one === undefined || two === undefined || three === undefined) throw new Error("no instances");
    const client = await openTestClient();
    const path = pathOf(await register(client.coap, one.uri, ["ep=node1", "d=floor3", "lt=600"])) ?? "";
    expect(path).toMatch(PATH);
    for (const { uri } of [one, two, three]) {
      await eventually(async () => (await client.targets(`${uri}/rd-lookup/ep`)).length === 1);
      expect(await client.targets(`${uri}/rd-lookup/ep`, ["ep=node1"])).toEqual([path]);
      expect((await client.get(`${uri}${path}`)).code).toBe(CODE.CONTENT);
    }
    // Renewed, registered again, and removed, each at another instance.
    expect((await renew(client.coap, two.uri, path)).code).toBe(CODE.CHANGED);
    expect(pathOf(await register(client.coap, three.uri, ["ep=node1", "d=floor3", "lt=700"]))).toBe(path);
    expect((await client.remove(`${two.uri}${path}`)).code).toBe(CODE.DELETED);
    for (const { uri } of [one, two, three])
      await eventually(async () => (await client.get(`${uri}${path}`)).code === CODE.NOT_FOUND);
    // Without sector it is another endpoint.
    const other = pathOf(await register(client.coap, two.uri, ["ep=node1", "lt=600"]));
    expect(other).toMatch(PATH);
    expect(other).not.toBe(path);
  });

  test(`${AT_ONCE} registrations of one (ep, d) at once make one registration, and each client gets its path`, async () => {
    const cluster = await NatsCluster.start();
    const instances = await startInstances(cluster);
    const client = await openTestClient();
    const responses = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, at) =>
        register(client.coap, instances[at % instances.length]?.uri ?? "", ["ep=same", "d=one", `lt=${600 + at}`]),
      ),
    );
    const codes = new Set(responses.map(({ code }) => code));
    expect([...codes]).toEqual([CODE.CREATED]);
    const paths = new Set(responses.map(pathOf));
    expect(paths.size).toBe(1);
    for (const { uri } of instances) expect(await client.targets(`${uri}/rd-lookup/ep`)).toEqual([...paths]);
  });

  test("take many registrations at once, written together, also of endpoints that another instance registers at that moment", async () => {
    const cluster = await NatsCluster.start();
    const [one, two] = await startInstances(cluster);
    if (one === undefined || two === undefined) throw new Error("no instances");
    const client = await openTestClient();
    const names = Array.from({ length: 200 }, (_, at) => `node${at}`);
    const responses = await Promise.all(
      names.flatMap((name, at) => {
        const own = register(client.coap, one.uri, [`ep=${name}`, "lt=600"]);
        return at % 10 === 0 ? [own, register(client.coap, two.uri, [`ep=${name}`, "lt=700"])] : [own];
      }),
    );
    expect(new Set(responses.map(({ code }) => code))).toEqual(new Set([CODE.CREATED]));
    const paths = new Set(responses.map(pathOf));
    expect(paths.size).toBe(names.length);
    for (const { uri } of [one, two])
      await eventually(async () => (await client.targets(`${uri}/rd-lookup/ep`)).length === names.length);
    expect(await writtenTogether(cluster)).toBeGreaterThan(names.length / 2);
  });

  test("use a stream that was made before messages were written together", async () => {
    const cluster = await NatsCluster.start();
    const first = await startInstance(cluster, "rd-1");
    await first.kill("SIGTERM");
    const connection = await connect({ servers: [...cluster.uris] });
    const jsm = await jetstreamManager(connection);
    await jsm.streams.update("tributary", { allow_atomic: false });
    const instance = await startInstance(cluster, "rd-2");
    const client = await openTestClient();
    expect((await register(client.coap, instance.uri, ["ep=node1"])).code).toBe(CODE.CREATED);
    expect((await jsm.streams.info("tributary")).config).toMatchObject({ allow_atomic: true });
    await connection.close();
  });

  test("end a lifetime everywhere, and an instance that starts later knows what is left", async () => {
    const cluster = await NatsCluster.start();
    const instances = await startInstances(cluster);
    const client = await openTestClient();
    const [{ uri: first } = { uri: "" }] = instances;
    await register(client.coap, first, ["ep=short", "lt=1"]);
    const kept = pathOf(await register(client.coap, first, ["ep=long", "lt=600"]));
    for (const { uri } of instances)
      await eventually(async () => {
        expect(await client.targets(`${uri}/rd-lookup/ep`)).toEqual([kept]);
        return true;
      });
    const late = await startInstance(cluster, "rd-4");
    expect(await client.targets(`${late.uri}/rd-lookup/ep`)).toEqual([kept]);
  });
});
