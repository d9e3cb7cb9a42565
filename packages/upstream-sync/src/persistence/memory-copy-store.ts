import type { FeedPosition } from "@tributary/replication";
import type { KeptRegistration, KeptReplica, ReplicaStore } from "../copy-store.js";

interface Kept {
  replica: KeptReplica | undefined;
  position: FeedPosition | undefined;
  readonly registrations: Map<string, KeptRegistration>;
}

/** A replica store that lives as long as the object: for tests, and for embedding without a file system. */
export function createMemoryReplicaStore(): ReplicaStore {
  const sources = new Map<string, Kept>();
  const kept = (source: string): Kept => {
    const known = sources.get(source) ?? { replica: undefined, position: undefined, registrations: new Map() };
    sources.set(source, known);
    return known;
  };
  return {
    sources: () => [...sources.keys()],
    load: (source) => sources.get(source)?.replica,
    registrations: (source) => [...(sources.get(source)?.registrations.values() ?? [])],
    position: (source) => sources.get(source)?.position,
    open(source, replica) {
      kept(source).replica = replica;
    },
    put(source, registration) {
      kept(source).registrations.set(registration.registration.href, registration);
    },
    renew(source, href, times) {
      const { registrations } = kept(source);
      const known = registrations.get(href);
      if (known !== undefined) registrations.set(href, { ...known, ...times });
    },
    remove(source, href) {
      sources.get(source)?.registrations.delete(href);
    },
    setPosition(source, position) {
      kept(source).position = position;
    },
    forget(source) {
      sources.delete(source);
    },
    close: () => Promise.resolve(),
  };
}
