import { existsSync } from "node:fs";
import type { RegistrationStore } from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import type { NodeConfig } from "../configuration/types.js";
import { NodeError } from "../errors.js";
import { registrationHrefPrefix } from "../system/state.js";

/** A store of registrations that no node serves. */
export interface OpenStore {
  readonly store: RegistrationStore;
  /** What paths follow from, where instances share the store. */
  readonly secret?: Uint8Array;
}

/** How a store is opened. */
export type StoreUse =
  | { readonly kind: "export" }
  /** `secret`: that of a shared store which is made where it is missing. */
  | { readonly kind: "import"; readonly secret?: Uint8Array };

/** Opens the store of a configuration. @throws {NodeError}, or the error of the store */
export async function openStore(env: Environment, config: NodeConfig, use: StoreUse): Promise<OpenStore> {
  const store = config.registration?.store;
  if (store === undefined || store.kind === "memory")
    throw new NodeError(
      "BACKUP_REFUSED",
      "the configuration names no store that keeps registrations: registration.store",
    );
  if (store.kind === "lmdb") {
    // To open it would make it.
    if (use.kind === "export" && !existsSync(store.path))
      throw new NodeError("BACKUP_REFUSED", `registration.store: there is no folder ${store.path}`);
    const { openRegistrationState } = await import("@tributary/lmdb-store");
    const { logger, clock, random } = env;
    const state = await openRegistrationState(
      { logger, clock, random },
      { path: store.path, hrefPrefix: registrationHrefPrefix(config) },
    );
    return { store: state.store };
  }
  const { openNatsStore } = await import("@tributary/nats-store");
  const missing =
    use.kind === "export"
      ? ({ kind: "refuse" } as const)
      : { kind: "make" as const, ...(use.secret === undefined ? {} : { secret: use.secret }) };
  const shared = await openNatsStore({ env, instance: use.kind }, store, missing);
  return { store: shared, secret: new Uint8Array(shared.secret.export()) };
}
