import type { GlobalLookupStatus } from "@tributary/global-lookup";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Node } from "../composition/types.js";

type Counts = (status: GlobalLookupStatus) => ReadonlyMap<string, number>;

/** Metrics of a node in a pool of RDs (draft 6.3); empty for other nodes. */
export function addGlobalMetrics(node: Node, registry: Registry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: (status: GlobalLookupStatus) => number) =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.reset();
        const status = node.global?.();
        if (status === undefined) this.remove();
        else this.set(read(status));
      },
    });
  const counter = (name: string, help: string, label: string, read: Counts) =>
    new Counter({
      ...{ name, help, labelNames: [label], registers },
      collect() {
        this.reset();
        const status = node.global?.();
        if (status !== undefined) for (const [key, count] of read(status)) this.inc({ [label]: key }, count);
      },
    });
  const isUp = ({ pool }: GlobalLookupStatus) => (pool.awayReason === undefined ? 1 : 0);
  gauge("tributary_global_up", "1 while names can be found in the pool, else 0", isUp);
  gauge("tributary_global_members", "Members of the pool that this node knows", ({ pool }) => pool.members);
  gauge("tributary_global_names", "Names to be announced", ({ names }) => names.wanted);
  gauge("tributary_global_names_announced", "Names announced at present", ({ names }) => names.announced);
  const announcements: Counts = (status) => status.announcements;
  counter("tributary_global_announcements_total", "Announcements, by outcome", "outcome", announcements);
  counter("tributary_global_searches_total", "Searches for names, by outcome", "outcome", ({ searches }) => searches);
  const requests: Counts = (status) => status.requests;
  counter("tributary_global_requests_total", "Requests to RDs of the pool, by outcome", "outcome", requests);
  const rejected: Counts = (status) => status.rejectedRecords;
  counter("tributary_global_rejected_records_total", "Records of RDs that were not used, by cause", "cause", rejected);
  const refused: Counts = ({ pool }) => pool.refused;
  counter("tributary_global_refused_total", "Requests of the pool that were refused, by cause", "cause", refused);
  const sent: Counts = ({ pool }) => new Map([["sent", pool.requests]]);
  counter("tributary_global_pool_requests_total", "Requests to other members of the pool", "direction", sent);
}
