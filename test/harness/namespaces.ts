import { execFileSync } from "node:child_process";
import { atEnd } from "../peers/peers.js";

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

export interface HostPlan {
  /** Short name, at most 6 letters or digits. */
  readonly name: string;
  /** Address and prefix length, e.g. `2001:db8:23::1/64`. */
  readonly address: string;
}

/** The hosts of the draft's figure (section 6.2) with their addresses. */
export const FIGURE_HOSTS = [
  { name: "host1", address: "2001:db8:23::1/64" },
  { name: "host2", address: "2001:db8:23::2/64" },
  { name: "host3", address: "2001:db8:23::3/64" },
  { name: "host4", address: "2001:db8:4::4/64" },
] as const;

let networks = 0;

/**
 * Hosts in namespaces of their own around a router in another. Nothing is connected to the machine's own network. All of
 * it goes when the test ends.
 */
export class NamespaceNetwork {
  readonly #prefix = `t${process.pid.toString(36)}${(networks++).toString(36)}`;
  readonly router = `${this.#prefix}-r`;
  readonly #hosts = new Map<string, string>();

  constructor(hosts: readonly HostPlan[]) {
    atEnd(() => this.#remove());
    this.#addNamespace(this.router);
    ip("netns", "exec", this.router, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
    for (const host of hosts) this.#addHost(host);
  }

  /** Namespace of a host. */
  host(name: string): string {
    const namespace = this.#hosts.get(name);
    if (namespace === undefined) throw new Error(`no host is called ${name}`);
    return namespace;
  }

  /** Cut a host off, or connect it again. */
  setConnected(name: string, isConnected: boolean): void {
    this.host(name);
    ip("-n", this.router, "link", "set", name, isConnected ? "up" : "down");
    if (!isConnected) return;
    // The kernel forgets the addresses and routes of a link that was down.
    ip("-n", this.router, "addr", "replace", "fe80::1/64", "dev", name, "nodad");
    this.#routeTo(name);
  }

  /** Give several hosts one more address, the same for all. Nobody is routed to it before `setClosest`. */
  shareAddress(address: string, names: readonly string[]): void {
    for (const name of names) ip("-n", this.host(name), "addr", "add", `${address}/128`, "dev", "lo", "nodad");
  }

  /** What `client` sends to a shared address goes to `name` from now on, as if that host were the closest. */
  setClosest(client: string, address: string, name: string): void {
    this.host(name);
    const source = this.#addresses.get(client) as string;
    let table = this.#tables.get(client);
    if (table === undefined) {
      table = String(100 + this.#tables.size);
      this.#tables.set(client, table);
      ip("-n", this.router, "-6", "rule", "add", "from", source, "lookup", table);
    }
    ip("-n", this.router, "-6", "route", "replace", `${address}/128`, "via", "fe80::2", "dev", name, "table", table);
  }

  /** Bytes that a host received and sent on its link, frames included. */
  traffic(name: string): { received: number; sent: number } {
    const [link] = JSON.parse(ip("-n", this.router, "-s", "-j", "link", "show", "dev", name)) as [
      { stats64: { rx: { bytes: number }; tx: { bytes: number } } },
    ];
    return { received: link.stats64.tx.bytes, sent: link.stats64.rx.bytes };
  }

  readonly #addresses = new Map<string, string>();
  /** Routing tables of the router, by the host whose packets they are for. */
  readonly #tables = new Map<string, string>();

  #addNamespace(name: string): void {
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
  }

  /** Every host has a link of its own to the router, with its address as a host route, so that sites are cut one by one. */
  #addHost({ name, address }: HostPlan): void {
    const namespace = `${this.#prefix}-${name}`;
    this.#hosts.set(name, namespace);
    this.#addresses.set(name, address.replace(/\/.*/, ""));
    this.#addNamespace(namespace);
    ip("-n", this.router, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    ip("-n", namespace, "addr", "add", `${this.#addresses.get(name)}/128`, "dev", "eth0", "nodad");
    ip("-n", this.router, "addr", "add", "fe80::1/64", "dev", name, "nodad");
    ip("-n", namespace, "addr", "add", "fe80::2/64", "dev", "eth0", "nodad");
    ip("-n", this.router, "link", "set", name, "up");
    ip("-n", namespace, "link", "set", "eth0", "up");
    ip(
      "-n",
      namespace,
      "route",
      "add",
      "default",
      "via",
      "fe80::1",
      "dev",
      "eth0",
      "src",
      this.#addresses.get(name) as string,
    );
    this.#routeTo(name);
  }

  #routeTo(name: string): void {
    ip("-n", this.router, "route", "replace", `${this.#addresses.get(name)}/128`, "via", "fe80::2", "dev", name);
  }

  #remove(): void {
    for (const namespace of [...this.#hosts.values(), this.router]) {
      try {
        ip("netns", "del", namespace);
      } catch {
        // It was never made.
      }
    }
  }
}
