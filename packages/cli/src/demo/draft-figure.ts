import type { DemoHosts, HostUris } from "./demo-hosts.js";
import type { Narrator } from "./narrator.js";

/** The hosts of the draft's figure (section 6.2). */
export type FigureHost = "host1" | "host2" | "host3" | "host4";

const SERVERS: Readonly<Record<FigureHost, string>> = {
  host1: "RD-A and LP-X",
  host2: "RD-B and LP-Y",
  host3: "RD-C",
  host4: "LP-Z",
};

/** Prints the URI and the servers of each host. */
export function introduceHosts(narrator: Narrator, uris: HostUris<FigureHost>): void {
  for (const host of Object.keys(SERVERS) as FigureHost[]) narrator.say(`${host} ${uris[host]}  ${SERVERS[host]}`);
}

/** Waits until every upstream of these proxies is live. */
export async function untilFollowing(
  narrator: Narrator,
  hosts: DemoHosts<FigureHost>,
  proxies: readonly FigureHost[],
): Promise<void> {
  const upstreams = () => proxies.flatMap((proxy) => hosts.node(proxy).upstreams());
  await narrator.until("the proxies to follow their RDs", () => upstreams().every(({ phase }) => phase === "live"));
}
