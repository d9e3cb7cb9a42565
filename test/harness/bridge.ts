import { execFileSync } from "node:child_process";
import { atEnd } from "../peers/peers.js";

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

let bridges = 0;

/** Hosts in namespaces of their own on one link, with IPv4 addresses, connected to nothing else. All of it goes when the test ends. */
export class Bridge {
  readonly #prefix = `b${process.pid.toString(36)}${(bridges++).toString(36)}`;
  readonly #hub = `${this.#prefix}-hub`;
  readonly #names: readonly string[];

  /** `names`: at most 6 letters or digits each. The first has the address 10.88.0.1, and so on. */
  constructor(names: readonly string[]) {
    this.#names = names;
    atEnd(() => this.#remove());
    ip("netns", "add", this.#hub);
    ip("-n", this.#hub, "link", "add", "br0", "type", "bridge");
    ip("-n", this.#hub, "link", "set", "br0", "up");
    for (const name of names) this.#add(name);
  }

  /** Namespace of a host. */
  host(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  address(name: string): string {
    return `10.88.0.${this.#names.indexOf(name) + 1}`;
  }

  /** From now on only what answers packets of this host gets in, as behind a NAT or a firewall. */
  onlyCallsOut(name: string): void {
    const chain = "inet guard input";
    const script = [
      "add table inet guard",
      `add chain ${chain} { type filter hook input priority 0; policy drop; }`,
      `add rule ${chain} iifname lo accept`,
      `add rule ${chain} ct state established,related accept`,
    ];
    execFileSync("ip", ["netns", "exec", this.host(name), "nft", "-f", "-"], { input: `${script.join("\n")}\n` });
  }

  #add(name: string): void {
    const namespace = this.host(name);
    ip("netns", "add", namespace);
    ip("-n", namespace, "link", "set", "lo", "up");
    ip("-n", this.#hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    ip("-n", this.#hub, "link", "set", name, "master", "br0", "up");
    ip("-n", namespace, "addr", "add", `${this.address(name)}/24`, "dev", "eth0");
    ip("-n", namespace, "link", "set", "eth0", "up");
  }

  #remove(): void {
    for (const namespace of [...this.#names.map((name) => this.host(name)), this.#hub]) {
      try {
        ip("netns", "del", namespace);
      } catch {
        // It was never made.
      }
    }
  }
}
