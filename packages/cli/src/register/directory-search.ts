import {
  ALL_COAP_NODES,
  ALL_RESOURCE_DIRECTORIES,
  formatAuthority,
  HostInterfaces,
  type ListInterfaces,
} from "@tributary/coap-transport";
import { parseLinkFormatTolerantly, resourceTypesOf } from "@tributary/link-model";
import type { Clock } from "@tributary/runtime";
import type { EndpointClient, GroupResponse } from "./endpoint-client.js";

export interface DirectorySearchDeps {
  readonly client: Pick<EndpointClient, "requestGroup">;
  readonly clock: Clock;
  /** Default: the interfaces of this host. */
  readonly listInterfaces?: ListInterfaces;
}

/** RFC 7252 section 8.2: so long a server may take to answer multicast (DEFAULT_LEISURE), ms. */
const LEISURE_MS = 5000;
/** The way there and back, and the server's own time, ms. */
const ROUND_TRIP_MS = 2000;
/** Once somebody answered, others are waited for no longer than this, ms. */
const OTHERS_MS = 1000;
/** Interfaces on which is searched. */
const MAX_INTERFACES = 16;

/** A group as it is reached on one interface. */
interface GroupTarget {
  readonly group: string;
  /** What `setMulticastInterface` wants. */
  readonly via: string;
}

/**
 * Search once for servers with a resource of this type, on every interface, in the groups of all RDs and of all CoAP nodes
 * (RFC 9176 section 4.1). Gives their origins in the order in which they answered, each once; those that mean something on one
 * link only come last. Ends early after the first that means something everywhere.
 */
export async function searchByMulticast(
  { client, clock, listInterfaces }: DirectorySearchDeps,
  resourceType: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<string[]> {
  const enough = new AbortController();
  const found = new Set<string>();
  const onAnswer = (answer: GroupResponse): void => {
    if (!advertises(answer, resourceType)) return;
    const origin = `coap://${formatAuthority(answer.address, answer.port)}`;
    found.add(origin);
    if (!isLinkLocal(origin)) clock.setTimer(OTHERS_MS, () => enough.abort());
  };
  const control = { waitMs: LEISURE_MS + ROUND_TRIP_MS, signal: AbortSignal.any([signal, enough.signal]), onAnswer };
  const targets = groupTargets(new HostInterfaces(clock, listInterfaces));
  const asked = targets.map(({ group, via }) => {
    const uri = `coap://${formatAuthority(group, 0, 0)}/.well-known/core?rt=${resourceType}`;
    return client.requestGroup(uri, { ...control, via }).catch(() => []);
  });
  await Promise.all(asked);
  return [...found].sort((a, b) => Number(isLinkLocal(a)) - Number(isLinkLocal(b)));
}

function groupTargets(interfaces: HostInterfaces): GroupTarget[] {
  const groups = [...ALL_RESOURCE_DIRECTORIES, ...ALL_COAP_NODES];
  const links = interfaces.list().filter(({ name }) => name !== "lo");
  return links.slice(0, MAX_INTERFACES).flatMap(({ name, ipv4, hasIpv6 }) =>
    groups.flatMap((group): GroupTarget[] => {
      if (!group.includes(":")) return ipv4 === null || ipv4.startsWith("127.") ? [] : [{ group, via: ipv4 }];
      return hasIpv6 ? [{ group, via: `::%${name}` }] : [];
    }),
  );
}

function advertises({ code, payload }: GroupResponse, resourceType: string): boolean {
  if (code !== "2.05") return false;
  return parseLinkFormatTolerantly(payload).links.some((link) => resourceTypesOf(link).includes(resourceType));
}

function isLinkLocal(origin: string): boolean {
  return /^coap:\/\/(\[fe[89ab]|169\.254\.)/.test(origin);
}
