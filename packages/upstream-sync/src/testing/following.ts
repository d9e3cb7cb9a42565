import { type CoapEndpoint, createCoapEndpoint } from "@tributary/coap-transport";
import { createDirectory, type Directory, type SharedLimit, type SourcedRegistration } from "@tributary/merge-engine";
import type { Upstream, UpstreamOptions } from "../types.js";
import { createUpstream } from "../upstream.js";
import type { World } from "./world.js";

/** An upstream that is followed in virtual time, and what came of it. */
export interface Following {
  readonly world: World;
  readonly client: CoapEndpoint;
  readonly directory: Directory;
  readonly upstream: Upstream;
  /** Endpoint names that are held, sorted. */
  endpoints(): string[];
  held(ep: string): SourcedRegistration | undefined;
  /** Let time pass until it is so; throws when it takes longer than `limitMs`. Returns how long it took. */
  until(condition: () => boolean, limitMs?: number): Promise<number>;
  untilLive(limitMs?: number): Promise<number>;
}

export const DEFAULTS = {
  name: "rd-f",
  mode: "replicate",
  filters: [],
  timeoutMs: 2000,
  assumedLifetimeMs: 90_000_000,
  pollMs: 30_000,
  concurrency: 4,
} as const;

/** Follow `options.uri`, in a world with a peer already in it. */
export function follow(
  world: World,
  options: Partial<UpstreamOptions> & Pick<UpstreamOptions, "uri">,
  {
    isConfigured = () => false,
    ...limits
  }: {
    readonly maxRegistrations?: number;
    readonly memory?: SharedLimit;
    readonly isConfigured?: (origin: string) => boolean;
  } = {},
): Following {
  const client = createCoapEndpoint({ socket: world.network.open("2001:db8::1", 5683), env: world.env });
  const directory = createDirectory(limits);
  const upstream = createUpstream(
    { client, directory, env: world.env, nodeId: "me", isConfigured },
    { ...DEFAULTS, ...options },
  );
  const name = options.name ?? DEFAULTS.name;
  const all = () =>
    directory.sources().includes(name)
      ? [...directory.hrefs(name)].map((href) => directory.get(name, href) as SourcedRegistration)
      : [];
  const until = async (condition: () => boolean, limitMs = 60_000) => {
    const sinceMs = world.clock.nowMs();
    if (!(await world.clock.runUntil(condition, limitMs)))
      throw new Error(`not so after ${limitMs} ms: ${JSON.stringify(upstream.status())}`);
    return world.clock.nowMs() - sinceMs;
  };
  upstream.start();
  return {
    world,
    client,
    directory,
    upstream,
    endpoints: () =>
      all()
        .map(({ ep }) => ep)
        .sort(),
    held: (ep) => all().find((one) => one.ep === ep),
    until,
    untilLive: (limitMs) => until(() => upstream.status().phase === "live", limitMs),
  };
}
