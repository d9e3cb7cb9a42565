import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { CODE } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually, olderNatsServerPath, runTributary, temporaryFolder } from "../peers/peers.js";
import { pathOf, register, startInstance } from "./instances.js";

const STREAM = "tributary";

function configOf({ uris }: NatsCluster): string {
  const file = join(temporaryFolder(), "rd.yaml");
  const store = { nats: { servers: uris, stream: STREAM, replicas: 1 } };
  writeFileSync(file, JSON.stringify({ listen: ["coap://[::1]:0"], http: false, registration: { store } }));
  return file;
}

/** A request to the interface of JetStream, in the protocol of the servers: some of them are more than a node ever asks for. */
function askJetStream({ uris: [uri = ""] }: NatsCluster, what: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const { hostname, port } = new URL(uri);
    const socket = connect(Number(port), hostname, () => {
      socket.write(`CONNECT {"verbose":false}\r\nSUB reply 1\r\nPUB $JS.API.${what} reply 0\r\n\r\n`);
    });
    socket.on("data", (chunk) => {
      said += chunk.toString();
      if (!/"success":|"error":/.test(said)) return;
      socket.destroy();
      resolve(said);
    });
    socket.on("error", reject);
  });
}

describeWithPeers(["nats"], "servers that a shared directory cannot use", () => {
  test("without JetStream: a node does not start, and says why", async () => {
    const cluster = await NatsCluster.start({ places: [{}], hasJetStream: false });
    const [{ status, stderr }, checked] = await Promise.all([
      runTributary(["serve", "-c", configOf(cluster)]),
      runTributary(["check", "--connect", "-c", configOf(cluster)]),
    ]);
    expect(status).toBe(1);
    expect(stderr).toContain("registration.store: the server runs without JetStream; enable it in its configuration");
    expect([checked.status, checked.stdout]).toEqual([1, expect.stringMatching(/^WRONG .*JetStream/m)]);
  });

  test("a stream that is purged under an instance: nothing is written, and everything is shown, until it is brought back", async () => {
    const cluster = await NatsCluster.start({ places: [{}] });
    const config = configOf(cluster);
    const rd = await startInstance(cluster, "rd-1");
    const client = await openTestClient();
    const path = pathOf(await register(client.coap, rd.uri, ["ep=node1", "lt=6000"]));
    const backup = join(temporaryFolder(), "rd.jsonl");
    expect((await runTributary(["store", "export", backup, "-c", config])).status).toBe(0);
    expect(await askJetStream(cluster, `STREAM.PURGE.${STREAM}`)).toContain('"success":true');
    await eventually(() => rd.stderr().includes("the shared store is not the one that was followed"), {
      what: "the alarm",
    });
    expect((await register(client.coap, rd.uri, ["ep=node2", "lt=6000"])).code).toBe(CODE.UNAVAILABLE);
    expect(await client.targets(`${rd.uri}/rd-lookup/ep`)).toEqual([path]);
    await rd.kill("SIGTERM");
    const again = await runTributary(["serve", "-c", config]);
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining(`stream ${STREAM} was emptied`)]);
    // As docs/shared-authority.md says.
    expect(await askJetStream(cluster, `STREAM.DELETE.${STREAM}`)).toContain('"success":true');
    expect((await runTributary(["store", "import", backup, "-c", config])).status).toBe(0);
    const back = await startInstance(cluster, "rd-1");
    expect(await client.targets(`${back.uri}/rd-lookup/ep`)).toEqual([path]);
  });
});

describeWithPeers(["nats", "older-nats"], "servers that are too old", () => {
  test("a node does not start, and names the version that it needs", async () => {
    const cluster = await NatsCluster.start({ places: [{}], program: olderNatsServerPath() });
    const [{ status, stderr }, checked] = await Promise.all([
      runTributary(["serve", "-c", configOf(cluster)]),
      runTributary(["check", "--connect", "-c", configOf(cluster)]),
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/the server is nats-server 2\.12\.\d+; it has to be 2\.14\.0 or later/);
    expect([checked.status, checked.stdout]).toEqual([1, expect.stringMatching(/^WRONG .*2\.12/m)]);
  });
});
