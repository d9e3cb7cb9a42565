import type { RequestForwarding } from "@tributary/anycast-forwarding";
import type { RequestHandler, ServerRequest } from "@tributary/coap-transport";
import { type Attribute, firstValue, type Link } from "@tributary/link-model";
import {
  createLookupInterface,
  createSite,
  type LookupObservation,
  type LookupSource,
  type ReplicaPolicy,
  type SiteResource,
  scopeOfRequest,
} from "@tributary/lookup-interface";
import type { Directory } from "@tributary/merge-engine";
import type { FeedPublisher } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import { FEED_RESOURCE_TYPES, NODE_ATTRIBUTE, TCP_ATTRIBUTE, TIER_ATTRIBUTE } from "@tributary/upstream-sync";

/** Collaborators of `createNodeSite`. */
export interface NodeSiteDeps {
  readonly directory: Directory;
  readonly env: Environment;
  readonly source: LookupSource;
  readonly mayReplicate: ReplicaPolicy;
  readonly replicasSetting?: string;
  readonly feed?: FeedPublisher;
  /** Name of the source with own registrations, where the directory has other sources as well. */
  readonly ownSource?: string;
  readonly onLookup: LookupObservation;
  readonly onCoverageChange: (listener: () => void) => void;
}

/** Settings of `createNodeSite`. */
export interface NodeSiteOptions {
  readonly nodeId: string;
  readonly advertise: readonly Link[];
  /** Resources of the registration interface; empty if the node is not an RD. */
  readonly registration: readonly SiteResource[];
  readonly isLookupProxy: boolean;
  /** Whether the node is an RD and has a feed of its registrations. */
  readonly isDirectory: boolean;
  /** Parent path of the registration resources. */
  readonly resourcePath: readonly string[];
  readonly forwarding: RequestForwarding | null;
  /** Public key of this node in a pool; null: it is in none. */
  readonly poolKey: string | null;
  /** Whether everything is also served over TCP, at the same port number. */
  readonly hasTcp: boolean;
}

/** Creates the request handler for everything that a node serves over CoAP. */
export function createNodeSite(deps: NodeSiteDeps, options: NodeSiteOptions): RequestHandler {
  const { registration, resourcePath, forwarding, advertise } = options;
  const lookups = (["ep", "res"] as const).map((kind) => {
    const attributes = lookupAttributes(kind, options);
    const local = createLookupInterface(deps, { kind, path: ["rd-lookup", kind], attributes, resourcePath });
    if (forwarding === null) return local;
    const scopeOf = (request: ServerRequest) => scopeOfRequest(request, { kind, resourcePath });
    return { ...local, handle: forwarding.lookup(local.handle, scopeOf) };
  });
  return createSite([...registration, ...(forwarding?.resources ?? []), ...lookups], { advertise });
}

/**
 * Returns the attributes with which a lookup interface is advertised. An RD that advertises lookups of another server (draft 6.2:
 * RD-C) has its own ones for proxies only: they have another resource type, so that `?rt=core.rd*` finds only the federated ones.
 */
function lookupAttributes(kind: "ep" | "res", options: NodeSiteOptions): Attribute[] {
  const type = `core.rd-lookup-${kind}`;
  const isElsewhere = !options.isLookupProxy && options.advertise.some((link) => resourceTypes(link).includes(type));
  return [
    ["rt", isElsewhere ? FEED_RESOURCE_TYPES[kind] : type],
    ["ct", options.isDirectory ? "40 51" : "40"],
    ["obs", null],
    [NODE_ATTRIBUTE, options.nodeId],
    ...(options.isLookupProxy ? [[TIER_ATTRIBUTE, null] as const] : []),
    ...(options.poolKey === null ? [] : [["pool-key", options.poolKey] as const]),
    ...(options.hasTcp ? [[TCP_ATTRIBUTE, null] as const] : []),
  ];
}

function resourceTypes(link: Link): string[] {
  return (firstValue(link, "rt") ?? "").split(" ");
}
