import type { StoredRegistration } from "../stored-registration.js";
import { oneWriter } from "./one-writer.js";
import type { RegistrationStore } from "./types.js";

/**
 * A store that keeps nothing beyond the process: the registry has all that it needs in memory already. Synchronous, so
 * that registrations need not wait. `epoch`: 24 bits that name this run in the feed.
 */
export function createMemoryStore(epoch = 0): RegistrationStore {
  return oneWriter(NOTHING_KEPT, { epoch });
}

const NOTHING_KEPT = {
  load: () => nothing(),
  get: () => undefined,
  put: () => {},
  delete: () => {},
  close: () => Promise.resolve(),
};

async function* nothing(): AsyncGenerator<StoredRegistration> {}
