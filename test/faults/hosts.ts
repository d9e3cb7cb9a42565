/** Hosts of the federation under test; rda has a lookup proxy in the same process. */
export const HOSTS = {
  rda: { address: "2001:db8:f::1", isRd: true, isLp: true },
  rdb: { address: "2001:db8:f::2", isRd: true, isLp: false },
  rdc: { address: "2001:db8:f::3", isRd: true, isLp: false },
  lpy: { address: "2001:db8:f::4", isRd: false, isLp: true },
  lpz: { address: "2001:db8:f::5", isRd: false, isLp: true },
} as const;

export type Host = keyof typeof HOSTS;

/** Where the endpoints live. */
export const ENDPOINT_HOST = { name: "endp", address: "2001:db8:f::e1" } as const;

const NAMES = Object.keys(HOSTS) as Host[];
export const RDS: readonly Host[] = NAMES.filter((name) => HOSTS[name].isRd);
export const LPS: readonly Host[] = NAMES.filter((name) => HOSTS[name].isLp);

export function uriOf(host: Host): string {
  return `coap://[${HOSTS[host].address}]`;
}

/** The RD that a registration's href, absolute, belongs to. */
export function rdOf(href: string): Host | undefined {
  return RDS.find((host) => href.startsWith(`${uriOf(host)}/`));
}
