import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CODE } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { NatsCluster } from "../harness/nats-cluster.js";
import { openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually, runTributary, startTributary, temporaryFolder } from "../peers/peers.js";
import { pathOf, register, renew, startInstance } from "./instances.js";

const REGISTRATIONS = 40;

/** Writes a configuration, and returns its path. */
function configFile(store: unknown): string {
  const file = join(temporaryFolder(), "rd.yaml");
  writeFileSync(file, JSON.stringify({ listen: ["coap://[::1]:0"], http: false, registration: { store } }));
  return file;
}

async function store(verb: "export" | "import", file: string, config: string, ...flags: string[]) {
  const { status, stdout, stderr } = await runTributary(["store", verb, file, "-c", config, ...flags]);
  return { status, said: `${stdout}${stderr}` };
}

const oneServer = () => NatsCluster.start({ places: [{}] });
const sharedStore = ({ uris }: NatsCluster) => ({ nats: { servers: uris, replicas: 1 } });

describeWithPeers(["nats"], "tributary store export and import", () => {
  test("bring a shared directory back at the same paths, and into a store on disk", async () => {
    const [lost, fresh] = await Promise.all([oneServer(), oneServer()]);
    const client = await openTestClient();
    const before = await startInstance(lost, "rd-1");
    const paths = await Promise.all(
      Array.from({ length: REGISTRATIONS }, async (_, at) =>
        pathOf(await register(client.coap, before.uri, [`ep=node${at}`, "d=s", "lt=6000", "et=oic"])),
      ),
    );
    await register(client.coap, before.uri, ["ep=short", "lt=1"]);
    await eventually(async () => (await client.targets(`${before.uri}/rd-lookup/ep`)).length === REGISTRATIONS);
    const file = join(temporaryFolder(), "rd.jsonl");
    // While the directory is in use.
    expect(await store("export", file, configFile(sharedStore(lost)))).toEqual({
      status: 0,
      said: `exported ${REGISTRATIONS} to ${file}\n`,
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await lost.server(0).kill();

    const freshConfig = configFile(sharedStore(fresh));
    const diskConfig = configFile(`lmdb:${join(temporaryFolder(), "state")}`);
    const [imported, onDisk] = await Promise.all([
      store("import", file, freshConfig),
      store("import", file, diskConfig),
    ]);
    expect(imported).toEqual({ status: 0, said: `imported ${REGISTRATIONS} from ${file}\n` });
    expect(onDisk).toEqual(imported);
    const [again, ...nodes] = await Promise.all([
      store("import", file, freshConfig),
      startInstance(fresh, "rd-1"),
      startTributary({ configFile: diskConfig }),
    ]);
    expect(again.said).toContain(`left out ${REGISTRATIONS}: the store has them, renewed at the same time or later`);
    for (const rd of nodes) {
      const uri = rd.uris[0] ?? "";
      expect(new Set(await client.targets(`${uri}/rd-lookup/ep`, ["et=oic"]))).toEqual(new Set(paths));
      expect((await renew(client.coap, uri, paths[0] ?? "")).code).toBe(CODE.CHANGED);
      expect((await client.targets(`${uri}/rd-lookup/res`)).length).toBe(REGISTRATIONS);
    }
  });

  test("refuse what is in use or has other paths, and leave out what has ended", async () => {
    const cluster = oneServer();
    const config = configFile(`lmdb:${join(temporaryFolder(), "state")}`);
    const file = join(temporaryFolder(), "rd.jsonl");
    const nowhere = store("export", file, configFile(`lmdb:${join(temporaryFolder(), "nowhere")}`));
    const node = await startTributary({ configFile: config });
    const client = await openTestClient();
    const [uri = ""] = node.uris;
    const path = pathOf(await register(client.coap, uri, ["ep=long", "lt=6000"]));
    await register(client.coap, uri, ["ep=short", "lt=3"]);
    const startedMs = performance.now();
    expect(await store("export", file, config)).toMatchObject({ status: 1, said: expect.stringContaining("in use") });
    expect(await nowhere).toMatchObject({ status: 1, said: expect.stringContaining("there is no folder") });
    await node.kill("SIGTERM");
    expect((await store("export", file, config)).said).toBe(`exported 2 to ${file}\n`);
    // Its devices know paths that a shared directory cannot give.
    const sharedConfig = configFile(sharedStore(await cluster));
    const [shared, memory] = await Promise.all([
      store("import", file, sharedConfig),
      store("import", file, configFile("memory")),
    ]);
    expect(shared).toMatchObject({ status: 1, said: expect.stringContaining("--new-paths") });
    expect(memory).toMatchObject({
      status: 1,
      said: expect.stringContaining("names no store that keeps registrations"),
    });
    await eventually(() => performance.now() - startedMs > 3000);
    expect(await store("import", file, sharedConfig, "--new-paths")).toEqual({
      status: 0,
      said: `imported 1 from ${file}\nleft out 1: their lifetime is over\n`,
    });
    const rd = await startInstance(await cluster, "rd-1");
    const shown = await client.targets(`${rd.uri}/rd-lookup/ep`);
    expect(shown).toEqual([expect.not.stringMatching(new RegExp(`^${path}$`))]);
  });
});
