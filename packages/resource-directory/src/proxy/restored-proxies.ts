import type { Environment } from "@tributary/runtime";
import type { Registrar } from "../registrar/registrar.js";
import { keyOf } from "../registrar/registry.js";
import type { StoredRegistration } from "../stored-registration.js";
import type { ProxiedRegistrations } from "./proxied-registrations.js";

/** The proxied registrations of an earlier run, whose connections are gone. */
export class RestoredProxies {
  readonly #env: Environment;
  #found: StoredRegistration[] = [];

  constructor(env: Environment) {
    this.#env = env;
  }

  add(stored: StoredRegistration): void {
    this.#found.push(stored);
  }

  /** Passes them on, once; an RD that proxies no longer removes them, because their bases lead nowhere. */
  async handOver(proxied: ProxiedRegistrations | undefined, registrar: Registrar): Promise<void> {
    const found = this.#found;
    this.#found = [];
    if (proxied !== undefined) return await proxied.restore(found);
    for (const stored of found) await registrar.run(keyOf(stored), () => registrar.remove(stored));
    if (found.length === 0) return;
    const hint = "configure registration.proxy";
    this.#env.logger.warn("proxied registrations were removed, because this node proxies no longer", {
      count: found.length,
      hint,
    });
  }
}
