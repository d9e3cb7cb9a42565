import { type Clock, systemClock } from "@tributary/runtime";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { LookupSample, Node } from "../composition/types.js";
import { measureEventLoopLag, RARELY_MS } from "./event-loop-lag.js";
import { addGlobalMetrics } from "./global-metrics.js";
import { addNodeMetrics } from "./node-metrics.js";
import { addProxyMetrics, addRegistrationMetrics, addStoreMetrics } from "./role-metrics.js";

/** The metrics of a node in the Prometheus text format. */
export interface Metrics {
  readonly contentType: string;
  /** Returns all metrics with their present values. */
  render(): Promise<string>;
  /** Stops observing the node. Idempotent. */
  close(): void;
}

/** Buckets of the lookup histogram, seconds: from a local index hit to the time-out of a fan-out. */
const LOOKUP_BUCKETS_S = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const INTERFACES: readonly LookupSample["interface"][] = ["ep", "res"];
const ANSWERS: readonly LookupSample["answer"][] = ["local", "cached", "forwarded", "partial", "error"];

/** Settings of `createMetrics`. */
export interface MetricsOptions {
  /** Version of the program, for `tributary_build_info`. */
  readonly version?: string;
  /** Adds the metrics of the process: memory, CPU, event loop. */
  readonly withProcess: boolean;
  /** Times the samples of the event loop; default: the system clock. */
  readonly clock?: Clock;
}

/** Creates the metrics of `node` (design section 8). */
export function createMetrics(
  node: Node,
  { withProcess, version = "unknown", clock = systemClock() }: MetricsOptions,
): Metrics {
  const registry = new Registry();
  const endSamples = withProcess ? addProcessMetrics(registry, clock) : () => {};
  addNodeMetrics(node, registry, version);
  addUpstreamMetrics(node, registry, clock);
  addDirectoryMetrics(node, registry);
  addRegistrationMetrics(node, registry);
  addForwardingMetrics(node, registry);
  addStoreMetrics(node, registry);
  addProxyMetrics(node, registry);
  addGlobalMetrics(node, registry);
  const unsubscribe = addLookupMetrics(node, registry);
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    close() {
      endSamples();
      unsubscribe();
      registry.clear();
    },
  };
}

function addProcessMetrics(registry: Registry, clock: Clock): () => void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: RARELY_MS });
  return measureEventLoopLag(registry, clock);
}

function addUpstreamMetrics(node: Node, registry: Registry, clock: Clock): void {
  const registers = [registry];
  const labelNames = ["upstream"] as const;
  new Gauge({
    name: "tributary_upstream_up",
    help: "1 while the upstream is live, else 0",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { name, phase } of node.upstreams()) this.set({ upstream: name }, phase === "live" ? 1 : 0);
    },
  });
  new Gauge({
    name: "tributary_upstream_last_contact_seconds",
    help: "Time since anything was received from the upstream; absent: never",
    labelNames,
    registers,
    collect() {
      this.reset();
      const nowMs = clock.nowMs();
      for (const { name, lastContactMs } of node.upstreams())
        if (lastContactMs !== undefined) this.set({ upstream: name }, (nowMs - lastContactMs) / 1000);
    },
  });
  new Counter({
    name: "tributary_upstream_attempts_total",
    help: "Attempts to follow the upstream",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { name, attempts } of node.upstreams()) this.inc({ upstream: name }, attempts);
    },
  });
  new Gauge({
    name: "tributary_left_out",
    help: "Registrations and links of the upstream that lookups here leave out, by cause",
    labelNames: ["upstream", "cause"] as const,
    registers,
    collect() {
      this.reset();
      for (const { name, leftOut } of node.upstreams())
        for (const [cause, count] of leftOut) this.set({ upstream: name, cause }, count);
    },
  });
  new Gauge({
    name: "tributary_replication_lag_seconds",
    help: "Estimated delay between a change at the upstream and here",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { name, lagMs } of node.upstreams())
        if (lagMs !== undefined) this.set({ upstream: name }, lagMs / 1000);
    },
  });
  new Counter({
    name: "tributary_feed_bytes_total",
    help: "Bytes received for replication, CoAP headers included",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { name, feedBytes } of node.upstreams()) this.inc({ upstream: name }, feedBytes);
    },
  });
}

function addDirectoryMetrics(node: Node, registry: Registry): void {
  const registers = [registry];
  new Gauge({
    name: "tributary_registrations",
    help: "Registrations by source and state; stale ones are visible or superseded as well",
    labelNames: ["source", "state"] as const,
    registers,
    collect() {
      this.reset();
      for (const source of node.directory.sources()) {
        const { visible, superseded, stale } = node.directory.counts(source);
        this.set({ source, state: "visible" }, visible);
        this.set({ source, state: "superseded" }, superseded);
        this.set({ source, state: "stale" }, stale);
      }
    },
  });
  new Gauge({
    name: "tributary_memory_bytes",
    help: "Estimated heap used by registrations, by source",
    labelNames: ["source"] as const,
    registers,
    collect() {
      this.reset();
      for (const [source, { used }] of node.memory().accounts) this.set({ source }, used);
    },
  });
  new Gauge({
    name: "tributary_memory_limit_bytes",
    help: "Heap limit for registrations, see limits.memory; +Inf: no limit",
    registers,
    collect() {
      this.set(node.memory().total);
    },
  });
  new Gauge({
    name: "tributary_table_entries",
    help: "Entries of the bounded tables, see the limits",
    labelNames: ["table"] as const,
    registers,
    collect() {
      this.reset();
      for (const [table, size] of Object.entries(node.tableSizes())) this.set({ table }, size);
    },
  });
  new Counter({
    name: "tributary_evictions_total",
    help: "Registrations that are no longer visible, by cause",
    labelNames: ["cause"] as const,
    registers,
    collect() {
      this.reset();
      for (const [cause, count] of node.counters.evictions) this.inc({ cause }, count);
    },
  });
  new Counter({
    name: "tributary_cache_total",
    help: "Lookups and upstream requests of the response cache, by outcome",
    labelNames: ["outcome"] as const,
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of node.counters.cache()) this.inc({ outcome }, count);
    },
  });
  new Counter({
    name: "tributary_rejected_total",
    help: "Rejected messages, registrations and records, by cause",
    labelNames: ["cause"] as const,
    registers,
    collect() {
      this.reset();
      for (const cause of ALARMING_CAUSES) this.inc({ cause }, 0);
      for (const [cause, count] of node.counters.rejected()) this.inc({ cause }, count);
    },
  });
}

/** Causes with a series from the start, so that the first time is an increase that an alert can be for. */
const ALARMING_CAUSES = [
  "store-failure",
  "snapshot-failure",
  "state-damaged",
  "state-record",
  "snapshot-damaged",
  "snapshot-record",
];

/** Metrics of nodes with a shared address (draft 6.2.2); empty for other nodes. */
function addForwardingMetrics(node: Node, registry: Registry): void {
  const registers = [registry];
  new Counter({
    name: "tributary_forwarded_total",
    help: "Requests forwarded to nodes with the same address, by outcome",
    labelNames: ["peer", "outcome"] as const,
    registers,
    collect() {
      this.reset();
      for (const { name, outcomes } of node.peers?.() ?? [])
        for (const [outcome, count] of Object.entries(outcomes)) this.inc({ peer: name, outcome }, count);
    },
  });
  new Gauge({
    name: "tributary_peer_up",
    help: "0 after a forwarded request without a response, until the peer responds again; else 1",
    labelNames: ["peer"] as const,
    registers,
    collect() {
      this.reset();
      for (const { name, isUp } of node.peers?.() ?? []) this.set({ peer: name }, isUp ? 1 : 0);
    },
  });
}

/** Returns the function that stops counting. */
function addLookupMetrics(node: Node, registry: Registry): () => void {
  const registers = [registry];
  const total = new Counter({
    name: "tributary_lookups_total",
    help: "Lookups by interface and origin of the result",
    labelNames: ["interface", "answer"] as const,
    registers,
  });
  const seconds = new Histogram({
    name: "tributary_lookup_seconds",
    help: "Time from a complete lookup request to its response",
    labelNames: ["interface"] as const,
    buckets: LOOKUP_BUCKETS_S,
    registers,
  });
  for (const kind of INTERFACES) {
    seconds.zero({ interface: kind });
    for (const answer of ANSWERS) total.inc({ interface: kind, answer }, 0);
  }
  return node.onLookup(({ interface: kind, answer, durationMs }) => {
    total.inc({ interface: kind, answer });
    seconds.observe({ interface: kind }, durationMs / 1000);
  });
}
