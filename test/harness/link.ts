import { execFileSync } from "node:child_process";
import { atEnd } from "../peers/peers.js";

let links = 0;

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

/** Two hosts with several addresses each on one link, in namespaces that are connected to nothing else. */
export class Link {
  readonly #prefix = `l${process.pid.toString(36)}${(links++).toString(36)}`;
  /** Namespaces: `server` has 10.9.0.1, 10.9.0.2, fd09::1 and fd09::2, `client` 10.9.0.9 and fd09::9. */
  readonly server = `${this.#prefix}-s`;
  readonly client = `${this.#prefix}-c`;

  constructor() {
    atEnd(() => this.#remove());
    for (const name of [this.server, this.client]) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    ip("link", "add", "eth0", "netns", this.server, "type", "veth", "peer", "name", "eth0", "netns", this.client);
    this.setUp(this.client);
    for (const address of ["10.9.0.9/24", "fd09::9/64"]) this.addAddress(this.client, address);
    ip("-n", this.client, "route", "add", "224.0.0.0/4", "dev", "eth0");
    this.setUp(this.server);
    for (const address of ["10.9.0.1/24", "10.9.0.2/24", "fd09::1/64", "fd09::2/64"])
      this.addAddress(this.server, address);
  }

  setUp(namespace: string): void {
    // Addresses are usable at once, without looking for duplicates.
    ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0");
    ip("-n", namespace, "link", "set", "eth0", "up");
  }

  setDown(namespace: string): void {
    ip("-n", namespace, "link", "set", "eth0", "down");
  }

  /** `broadcast +`: IPv4 broadcasts to the subnet are taken too. */
  addAddress(namespace: string, address: string): void {
    const extra = address.includes(":") ? ["nodad"] : ["broadcast", "+"];
    ip("-n", namespace, "addr", "replace", address, ...extra, "dev", "eth0");
  }

  /** The link-local address of a host, once it has one. */
  linkLocal(namespace: string): string | undefined {
    const shown = ip("-n", namespace, "-6", "addr", "show", "dev", "eth0", "scope", "link");
    return /inet6 (fe80:[^/]+)/.exec(shown)?.[1];
  }

  #remove(): void {
    for (const name of [this.server, this.client]) {
      try {
        ip("netns", "del", name);
      } catch {
        // It was never made.
      }
    }
  }
}
