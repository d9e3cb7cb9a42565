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

/** Say who is where. */
export function introduceHosts(narrator: Narrator, uris: HostUris<FigureHost>): void {
  for (const host of Object.keys(SERVERS) as FigureHost[]) narrator.say(`${host} ${uris[host]}  ${SERVERS[host]}`);
}

/** Wait until every upstream of these proxies is live. */
export async function untilFollowing(
  narrator: Narrator,
  hosts: DemoHosts<FigureHost>,
  proxies: readonly FigureHost[],
): Promise<void> {
  const upstreams = () => proxies.flatMap((proxy) => hosts.node(proxy).upstreams());
  await narrator.until("the proxies to follow their RDs", () => upstreams().every(({ phase }) => phase === "live"));
}
