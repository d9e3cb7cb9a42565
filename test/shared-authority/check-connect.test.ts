import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { describeWithPeers, runTributary, temporaryFolder } from "../peers/peers.js";
import { startInstance } from "./instances.js";

interface Checked {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

async function check(nats: object, ...flags: string[]): Promise<Checked> {
  const file = join(temporaryFolder(), "rd.yaml");
  const config = { listen: ["coap://[::1]:0"], http: false, registration: { store: { nats } } };
  writeFileSync(file, JSON.stringify(config));
  const { status, stdout, stderr } = await runTributary(["check", "-c", file, ...flags]);
  return { status, stdout, stderr };
}

const monitoringOf = ({ servers }: NatsCluster) => servers.map(({ monitorUri }) => monitorUri);

describeWithPeers(["nats"], "tributary check --connect of a shared store", () => {
  test("a cluster that is right; without --connect it says what it does not know", async () => {
    const cluster = await NatsCluster.start();
    const nats = { servers: cluster.uris, replicas: 3, monitoring: monitoringOf(cluster) };
    const before = await check(nats, "--connect");
    expect([before.status, before.stdout]).toEqual([
      0,
      expect.stringContaining("not there yet; the first instance makes it"),
    ]);
    await startInstance(cluster, "rd-1");
    const { status, stdout } = await check(nats, "--connect");
    expect([status, stdout]).toEqual([0, expect.not.stringMatching(/WRONG|\?/)]);
    for (const uri of cluster.uris) expect(stdout).toMatch(new RegExp(`^ok +${uri} +nats-server 2\\.`, "m"));
    expect(stdout.match(/every write is flushed/g)).toHaveLength(3);
    expect(stdout).toMatch(/^ok +stream \S+ +as it has to be/m);
    const offline = await check(nats);
    expect([offline.status, offline.stdout.trim()]).toEqual([0, "OK"]);
    expect(offline.stderr).toContain("not verified: version, cluster and flushing of the servers");
  });

  test("every setting of the stream that differs is named, with what it is and has to be", async () => {
    const cluster = await NatsCluster.start();
    await startInstance({ ...cluster, servers: cluster.servers.slice(0, 1), uris: cluster.uris } as never, "rd-1");
    const { status, stdout } = await check({ servers: cluster.uris, replicas: 3 }, "--connect");
    expect([status, stdout]).toEqual([
      1,
      expect.stringMatching(/^WRONG +stream \S+ +num_replicas is 1; it has to be 3/m),
    ]);
    expect(stdout).toMatch(/^\? +sync_interval +only a monitoring port says/m);
  });

  test("servers that do not flush, are in no cluster, or cannot be reached", async () => {
    const single = await NatsCluster.start({ places: [{}], isSyncAlways: false });
    const nowhere = "nats://127.0.0.1:1";
    const servers = [...single.uris, nowhere];
    const { status, stdout } = await check({ servers, replicas: 3, monitoring: monitoringOf(single) }, "--connect");
    expect(status).toBe(1);
    expect(stdout).toMatch(/^WRONG +http:\S+ +writes are acknowledged before they are flushed/m);
    expect(stdout).toMatch(/^WRONG +nats:\S+ +it is in no cluster, and replicas is 3/m);
    expect(stdout).toMatch(new RegExp(`^WRONG +${nowhere} +registration.store: no connection`, "m"));
  });

  test("credentials that are refused", async () => {
    const single = await NatsCluster.start({
      places: [{}],
      settings: "accounts { A { jetstream: enabled, users: [{ user: rd, password: right }] } }",
    });
    const password = join(temporaryFolder(), "password");
    writeFileSync(password, "wrong\n");
    const nats = { servers: single.uris, replicas: 1, user: "rd", "password-file": password };
    const { status, stdout } = await check(nats, "--connect");
    expect([status, stdout]).toEqual([1, expect.stringMatching(/^WRONG +nats:\S+ .*Authorization Violation/im)]);
    writeFileSync(password, "right\n");
    expect((await check(nats, "--connect")).status).toBe(0);
  });
});
