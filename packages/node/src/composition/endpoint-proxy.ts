import { formatAuthority, parseCoapUri, SharedConnections } from "@tributary/coap-transport";
import type { ProxyNaming, ProxyOptions } from "@tributary/resource-directory";
import type { NodeConfig, ProxyConfig } from "../configuration/types.js";
import type { NodeNetwork } from "./types.js";

/** Returns the settings of the reverse proxy for endpoints (draft 6.3); undefined where it is not configured. */
export function proxyOptions(
  network: NodeNetwork,
  { registration, listen, limits: { connectionsPerAddress } }: NodeConfig,
): ProxyOptions | undefined {
  const config = registration?.proxy;
  if (config === undefined) return undefined;
  const { graceMs, timeoutMs, limits } = config;
  const sharedConnections = new SharedConnections({
    maxConnections: config.connections,
    maxConnectionsPerAddress: connectionsPerAddress,
  });
  return { naming: namingOf({ network, sharedConnections }, config, listen), graceMs, timeoutMs, limits };
}

function namingOf(
  { network, sharedConnections }: { readonly network: NodeNetwork; readonly sharedConnections: SharedConnections },
  { naming, endpointConnections }: ProxyConfig,
  listen: readonly string[],
): ProxyNaming {
  const listeners = listen.map(parseCoapUri);
  if (naming.kind === "names") {
    const transports = listeners.flatMap(({ scheme, port }) =>
      scheme === "coap" || scheme === "coap+tcp" ? [{ scheme, port } as const] : [],
    );
    return { ...naming, transports: transports.filter((at, index) => index === firstIndex(transports, at.scheme)) };
  }
  // The ports are bound where endpoints connect.
  const { host, zone } = listeners.find(({ scheme }) => scheme === "coap+tcp") ?? { host: "::" };
  return {
    ...naming,
    schemes: ["coap", "coap+tcp"],
    listen: ({ scheme, port }, handler) =>
      network.listen(
        `${scheme}://${formatAuthority(zone === undefined ? host : `${host}%25${zone}`, port, 0)}`,
        handler,
        { isConfigured: () => false, maxConnections: endpointConnections, sharedConnections },
      ),
  };
}

function firstIndex(transports: readonly { readonly scheme: string }[], scheme: string): number {
  return transports.findIndex((one) => one.scheme === scheme);
}
