import type { RegistrationStore, StoredRegistration } from "./types.js";

/**
 * A store that keeps nothing beyond the process: the registry has all that it needs in memory already. Synchronous, so
 * that registrations are answered without waiting.
 */
export function createMemoryStore(): RegistrationStore {
  return {
    load: () => nothing(),
    get: () => undefined,
    put: () => {},
    delete: () => {},
    close: () => Promise.resolve(),
  };
}

async function* nothing(): AsyncGenerator<StoredRegistration> {}
