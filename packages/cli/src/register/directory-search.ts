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

/** Collaborators of `searchByMulticast`. */
export interface DirectorySearchDeps {
  readonly client: Pick<EndpointClient, "requestGroup">;
  readonly clock: Clock;
  /** Default: the interfaces of this host. */
  readonly listInterfaces?: ListInterfaces;
}

/** Longest delay of a response to multicast, ms (DEFAULT_LEISURE, RFC 7252 section 8.2). */
const LEISURE_MS = 5000;
/** Time for the round trip and the server, ms. */
const ROUND_TRIP_MS = 2000;
/** Time to wait for more responses after the first, ms. */
const OTHERS_MS = 1000;
/** Largest number of interfaces that are searched. */
const MAX_INTERFACES = 16;

/** A multicast group on one interface. */
interface GroupTarget {
  readonly group: string;
  /** Argument of `setMulticastInterface`. */
  readonly via: string;
}

/**
 * Searches once for servers with a resource of this type, on every interface, in the groups "All RDs" and "All CoAP nodes" (RFC 9176
 * section 4.1). Returns their origins in the order of their responses, each once, link-local ones last. Ends early after the first
 * origin that is not link-local.
 */
export async function searchByMulticast(
  { client, clock, listInterfaces }: DirectorySearchDeps,
  resourceType: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<string[]> {
  const enough = new AbortController();
  const found = new Set<string>();
  const onResponse = (response: GroupResponse): void => {
    if (!advertises(response, resourceType)) return;
    const origin = `coap://${formatAuthority(response.address, response.port)}`;
    found.add(origin);
    if (!isLinkLocal(origin)) clock.setTimer(OTHERS_MS, () => enough.abort());
  };
  const control = { waitMs: LEISURE_MS + ROUND_TRIP_MS, signal: AbortSignal.any([signal, enough.signal]), onResponse };
  const targets = groupTargets(new HostInterfaces(clock, listInterfaces));
  const requests = targets.map(({ group, via }) => {
    const uri = `coap://${formatAuthority(group, 0, 0)}/.well-known/core?rt=${resourceType}`;
    return client.requestGroup(uri, { ...control, via }).catch(() => []);
  });
  await Promise.all(requests);
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
