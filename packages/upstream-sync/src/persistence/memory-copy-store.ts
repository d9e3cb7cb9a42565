import type { FeedPosition } from "@tributary/replication";
import type { CopyStore, StoredCopy, StoredRegistration } from "../copy-store.js";

interface Kept {
  copy: StoredCopy | undefined;
  position: FeedPosition | undefined;
  readonly registrations: Map<string, StoredRegistration>;
}

/** A copy store that lives as long as the object: for tests, and for embedding without a file system. */
export function createMemoryCopyStore(): CopyStore {
  const sources = new Map<string, Kept>();
  const kept = (source: string): Kept => {
    const known = sources.get(source) ?? { copy: undefined, position: undefined, registrations: new Map() };
    sources.set(source, known);
    return known;
  };
  return {
    sources: () => [...sources.keys()],
    load: (source) => sources.get(source)?.copy,
    registrations: (source) => [...(sources.get(source)?.registrations.values() ?? [])],
    position: (source) => sources.get(source)?.position,
    open(source, copy) {
      kept(source).copy = copy;
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
