import { Counter, Gauge, type Registry } from "prom-client";
import type { Node, SharedStoreStatus } from "../composition/types.js";

/** Metrics of the store that several instances share (draft 4.1); empty for other nodes. */
export function addStoreMetrics(node: Node, registry: Registry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: (status: SharedStoreStatus) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.reset();
        const status = node.sharedStore?.();
        if (status === undefined) this.remove();
        else this.set(read(status));
      },
    });
  gauge("tributary_store_up", "1 while the shared store takes writes and delivers changes, else 0", ({ awayReason }) =>
    awayReason === undefined ? 1 : 0,
  );
  gauge("tributary_store_position", "Position of the last change applied", ({ position }) => position);
  gauge("tributary_store_lag", "Changes stored and not applied at the last probe", ({ lag }) => lag);
  gauge(
    "tributary_store_pending",
    "Writes taken while the shared store was away that it does not have yet",
    ({ pending = 0 }) => pending,
  );
  const counter = (name: string, help: string, read: (status: SharedStoreStatus) => Iterable<[string, number]>) =>
    new Counter({
      name,
      help,
      labelNames: ["outcome"] as const,
      registers,
      collect() {
        this.reset();
        const status = node.sharedStore?.();
        if (status !== undefined) for (const [outcome, count] of read(status)) this.inc({ outcome }, count);
      },
    });
  counter("tributary_store_probes_total", "Probes of the shared store, by outcome", ({ probes }) =>
    Object.entries(probes),
  );
  counter(
    "tributary_store_settled_total",
    "Writes taken while the shared store was away that were settled, by outcome",
    ({ settled = [] }) => settled,
  );
  counter(
    "tributary_store_submissions_total",
    "Writes to the shared store, by outcome",
    ({ submissions }) => submissions,
  );
}

/** Metrics of the registration side of an RD; empty for other nodes. */
export function addRegistrationMetrics(node: Node, registry: Registry): void {
  new Counter({
    name: "tributary_registration_requests_total",
    help: "Requests to register, renew and remove, by operation and response code; repeated messages count once",
    labelNames: ["operation", "code"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const { operation, code, count } of node.counters.registrationRequests())
        this.inc({ operation, code }, count);
    },
  });
}

/** Metrics of the reverse proxy for endpoints (draft 6.3); empty for other nodes. */
export function addProxyMetrics(node: Node, registry: Registry): void {
  const counters = [
    ["tributary_relayed_requests_total", "Requests to proxied endpoints, by outcome", "outcome", "outcomes"],
    ["tributary_relayed_bytes_total", "Bytes of relayed bodies, by direction", "direction", "bytes"],
    ["tributary_proxied_ended_total", "Registrations that ended with their connection, by cause", "cause", "ends"],
  ] as const;
  for (const [name, help, label, counts] of counters)
    new Counter({
      ...{ name, help, labelNames: [label], registers: [registry] },
      collect() {
        this.reset();
        for (const [key, count] of node.proxy?.()?.[counts] ?? []) this.inc({ [label]: key }, count);
      },
    });
}
