import { describe, expect, test } from "vitest";
import { FakeNode, registration, upstreamStatus } from "../../../../test/cli/fake-node.js";
import { createMetrics } from "./metrics.js";

async function samples(node: FakeNode, prefix: string): Promise<string[]> {
  const metrics = createMetrics(node, { withProcess: false });
  const text = await metrics.render();
  metrics.close();
  return text.split("\n").filter((line) => line.startsWith(prefix));
}

describe("metrics are what the node knows when asked", () => {
  test("upstreams", async () => {
    const node = new FakeNode();
    node.statuses = [upstreamStatus({ lagMs: 20 }), upstreamStatus({ name: "rd-c", phase: "stale", feedBytes: 0 })];
    expect(await samples(node, "tributary_upstream_up")).toEqual([
      'tributary_upstream_up{upstream="rd-b"} 1',
      'tributary_upstream_up{upstream="rd-c"} 0',
    ]);
    expect(await samples(node, "tributary_replication_lag")).toEqual([
      'tributary_replication_lag_seconds{upstream="rd-b"} 0.02',
    ]);
    expect(await samples(node, "tributary_feed_bytes_total")).toEqual([
      'tributary_feed_bytes_total{upstream="rd-b"} 1234',
      'tributary_feed_bytes_total{upstream="rd-c"} 0',
    ]);
  });

  test("registrations by source and state; a source that is gone is no longer shown", async () => {
    const node = new FakeNode();
    node.directory.openSource("local", { authority: null });
    node.directory.setConnected("local", true, 0);
    node.directory.put("local", registration(), 0);
    const metrics = createMetrics(node, { withProcess: false });
    expect(await metrics.render()).toContain('tributary_registrations{source="local",state="visible"} 1');
    node.directory.closeSource("local", 0);
    expect(await metrics.render()).not.toContain('source="local"');
    metrics.close();
  });

  test("evictions and refusals do not add up over scrapes", async () => {
    const node = new FakeNode();
    node.evictions.set("expired", 3);
    node.refusals.set("malformed", 2);
    const metrics = createMetrics(node, { withProcess: false });
    await metrics.render();
    const text = await metrics.render();
    expect(text).toContain('tributary_evictions_total{cause="expired"} 3');
    expect(text).toContain('tributary_rejected_total{cause="malformed"} 2');
    expect(text).toContain('tributary_table_entries{table="observers"} 3');
    metrics.close();
  });

  test("a shared store; nothing where there is none", async () => {
    const node = new FakeNode();
    expect((await samples(node, "tributary_store_")).filter((line) => !line.startsWith("#"))).toEqual([]);
    const submissions = new Map([["stored", 3]]);
    const status = { position: 42, lag: 1, probes: { succeeded: 5, failed: 2 }, submissions };
    const shared = Object.assign(node, { sharedStore: () => ({ ...status, awayReason: "it does not respond" }) });
    expect(await samples(shared, "tributary_store_")).toEqual([
      "tributary_store_up 0",
      "tributary_store_position 42",
      "tributary_store_lag 1",
      "tributary_store_pending 0",
      'tributary_store_probes_total{outcome="succeeded"} 5',
      'tributary_store_probes_total{outcome="failed"} 2',
      'tributary_store_submissions_total{outcome="stored"} 3',
    ]);
  });

  test("requests of endpoints are counted by what they were for and how they ended", async () => {
    const node = new FakeNode();
    node.registrationRequests = [
      { operation: "register", code: "2.01", count: 3 },
      { operation: "update", code: "4.04", count: 1 },
    ];
    expect(await samples(node, "tributary_registration_requests_total")).toEqual([
      'tributary_registration_requests_total{operation="register",code="2.01"} 3',
      'tributary_registration_requests_total{operation="update",code="4.04"} 1',
    ]);
  });

  test("lookups are counted and timed, and known before the first", async () => {
    const node = new FakeNode();
    const metrics = createMetrics(node, { withProcess: false });
    expect(await metrics.render()).toContain('tributary_lookups_total{interface="res",answer="cached"} 0');
    node.sample({ interface: "ep", answer: "local", durationMs: 3 });
    const text = await metrics.render();
    expect(text).toContain('tributary_lookups_total{interface="ep",answer="local"} 1');
    expect(text).toContain('tributary_lookup_seconds_bucket{le="0.0025",interface="ep"} 0');
    expect(text).toContain('tributary_lookup_seconds_bucket{le="0.005",interface="ep"} 1');
    metrics.close();
    node.sample({ interface: "ep", answer: "local", durationMs: 3 });
  });
});
