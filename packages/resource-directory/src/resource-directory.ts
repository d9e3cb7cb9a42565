import type { RequestHandler } from "@tributary/coap-transport";
import type { SiteResource } from "@tributary/lookup-interface";
import {
  DEFAULT_LIMITS,
  PROXY_REGISTRATION_ATTRIBUTES,
  REGISTRATION_ATTRIBUTES,
  SIMPLE_REGISTRATION_PATH,
} from "./constants.js";
import { ResourceDirectoryError } from "./errors.js";
import { ProxiedRegistrations } from "./proxy/proxied-registrations.js";
import { RestoredProxies } from "./proxy/restored-proxies.js";
import { createRefusalLog } from "./refusal.js";
import { Registrar } from "./registrar/registrar.js";
import { keyOf } from "./registrar/registry.js";
import { createEndpointDocuments } from "./registration/endpoint-documents.js";
import { createRegistrationInterface } from "./registration/registration-interface.js";
import { createRegistrationResource } from "./registration/registration-resource.js";
import { RequestCounts } from "./registration/request-counts.js";
import { requireFreshness, requireProvenSource } from "./registration/request-freshness.js";
import { createSimpleRegistration } from "./registration/simple-registration.js";
import type {
  RegistrationLimits,
  ResourceDirectory,
  ResourceDirectoryDeps,
  ResourceDirectoryOptions,
} from "./types.js";

/**
 * The registration side of an RD (RFC 9176 section 5). Its registrations are the records of one source of `deps.directory`,
 * which is opened here; lookups over them are served by `createLookupInterface`.
 * @throws {ResourceDirectoryError} `BAD_OPTIONS`
 */
export function createResourceDirectory(
  deps: ResourceDirectoryDeps,
  options: ResourceDirectoryOptions = {},
): ResourceDirectory {
  const { directory, store, client, env } = deps;
  const { source = "local", registrationPath = ["rd"], resourcePath = ["reg"] } = options;
  const limits = checkedLimits(options.limits);
  if (resourcePath.length === 0) throw new ResourceDirectoryError("BAD_OPTIONS", "resourcePath must not be the root");
  const refusals = createRefusalLog();
  const requests = new RequestCounts();
  const restored = new RestoredProxies(env);
  const registrar = new Registrar(
    { directory, store, env },
    {
      ...{ source, resourcePath, limits, onCompleteness: options.onCompleteness },
      onProxied: (stored) => restored.add(stored),
    },
  );
  const { proxy } = options;
  const proxied =
    proxy === undefined
      ? undefined
      : new ProxiedRegistrations({ env, directory, registrar, refusals }, { ...proxy, source });
  const hasProxy = proxied !== undefined;
  const documents = createEndpointDocuments({ client, clock: env.clock }, { limits });
  const handlers = { registrar, refusals, proxied };
  const nowMs = (): number => env.clock.nowMs();
  const whileOpen = (operation: Parameters<RequestCounts["counted"]>[1], handle: RequestHandler): RequestHandler => {
    const checked = options.requiresFreshness === true ? requireFreshness(handle, refusals) : handle;
    return requests.counted(
      (request) =>
        registrar.isClosed ? refusals.answer({ cause: "closed", message: "shutting down" }) : checked(request),
      operation,
    );
  };
  const simple = createSimpleRegistration({ ...handlers, documents, nowMs }, { limits, hasProxy });
  const resources: SiteResource[] = [
    {
      path: registrationPath,
      attributes: hasProxy ? PROXY_REGISTRATION_ATTRIBUTES : REGISTRATION_ATTRIBUTES,
      handle: whileOpen("register", createRegistrationInterface(handlers, { limits })),
    },
    {
      path: SIMPLE_REGISTRATION_PATH,
      handle: whileOpen("simple", requireProvenSource(simple, refusals)),
    },
    {
      path: resourcePath,
      isSubtree: true,
      handle: whileOpen("resource", createRegistrationResource(handlers, { resourcePath, limits })),
      exists: ({ path }) =>
        path.length === resourcePath.length + 1 && registrar.byId(path.at(-1) ?? "")?.phase.kind === "live",
    },
  ];
  return {
    resources,
    async start() {
      await registrar.load();
      await restored.handOver(proxied, registrar);
    },
    async close() {
      documents.close();
      await proxied?.close();
      await registrar.close();
    },
    rejected: refusals.counts,
    requests,
    get onDisk() {
      return registrar.onDisk;
    },
    get isBehind() {
      return registrar.isBehind;
    },
    onDiskRegistrations: registrar.unshown,
    positions: registrar.positions,
    tableSizes: () => ({
      ...registrar.tableSizes(),
      "simple-fetches": documents.size,
      ...proxied?.proxy.tableSizes(),
    }),
    ...(proxied === undefined ? {} : { proxy: viewOf(proxied) }),
  };
}

function viewOf({ proxy, ends }: ProxiedRegistrations): NonNullable<ResourceDirectory["proxy"]> {
  return {
    isProxied: (endpoint) => proxy.has(keyOf(endpoint)),
    around: (handler) => proxy.around(handler),
    outcomes: proxy.relay.outcomes,
    bytes: proxy.relay.bytes,
    ends,
  };
}

function checkedLimits(options: Partial<RegistrationLimits> | undefined): RegistrationLimits {
  const limits = { ...DEFAULT_LIMITS, ...options };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value >= 0)) throw new ResourceDirectoryError("BAD_OPTIONS", `the limit of ${name} is not a number`);
  }
  return limits;
}
