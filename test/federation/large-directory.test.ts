import { describe, expect, test } from "vitest";
import { openNode, openTestClient, type TestClient } from "../harness/nodes.js";
import { eventually } from "../peers/peers.js";

const COUNT = 10_000;

function links(index: number): string {
  const resource = (name: string, type: string) =>
    `</sensors/${name}/${index}>;rt="${type}";if="core.s";ct=60;title="The ${name} sensor number ${index} of this building";obs`;
  return [
    resource("temperature", "ex.temperature-c"),
    resource("humidity", "ex.humidity"),
    resource("light", "ex.light.lux"),
  ].join(",");
}

const query = (index: number) => [
  `ep=node-${index}`,
  "d=building7.example.com",
  `base=coap://[2001:db8:7::${index.toString(16)}]`,
];

async function registerMany(client: TestClient, rd: string): Promise<void> {
  for (let start = 0; start < COUNT; start += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, offset) => client.register(rd, query(start + offset), links(start + offset))),
    );
  }
}

describe("10,000 registrations at one RD", () => {
  test("one more costs the feed under twice its record and is visible within 50 ms; a restarted proxy is complete within 10 s", {
    timeout: 180_000,
  }, async () => {
    const client = await openTestClient();
    const rd = await openNode("registration: {}");
    await registerMany(client, rd.uri);
    const configuration = `lookup: { upstreams: [{ name: rd, uri: "${rd.uri}" }] }`;
    const first = await openNode(configuration);
    await eventually(() => first.upstreams()[0]?.phase === "live", { what: "the first copy" });
    const bytesBefore = first.upstreams()[0]?.feedBytes ?? 0;

    const visible = new Promise<void>((resolve) => {
      first.directory.on("visible", ({ ep }) => void (ep === `node-${COUNT}` && resolve()));
    });
    const path = await client.register(rd.uri, query(COUNT), links(COUNT));
    await visible;
    const [endpoint] = await client.links(`${first.uri}/rd-lookup/ep`, [`ep=node-${COUNT}`]);
    expect(endpoint?.target).toBe(rd.uri + path);
    const resources = await client.get(`${first.uri}/rd-lookup/res`, [`ep=node-${COUNT}`]);
    const recordBytes = JSON.stringify(endpoint).length + resources.payload.length;
    await eventually(() => first.upstreams()[0]?.feedBytes !== bytesBefore, { what: "both feeds" });
    const cost = (first.upstreams()[0]?.feedBytes ?? 0) - bytesBefore;
    expect(cost).toBeLessThan(2 * recordBytes);
    await first.close();

    const restartMs = performance.now();
    const second = await openNode(configuration);
    await eventually(() => second.upstreams()[0]?.phase === "live" && second.directory.counts().visible === COUNT + 1, {
      what: "the second copy",
    });
    const copyMs = performance.now() - restartMs;
    process.stdout.write(
      `10,001 registrations: change ${cost} bytes for a record of ${recordBytes}, copy ${Math.round(copyMs)} ms\n`,
    );
  });
});
