import type { RegistrationStore, StoredRegistration } from "@tributary/resource-directory";

/** Keeps a registration in a store. */
export async function put(store: RegistrationStore, registration: StoredRegistration): Promise<void> {
  await store.submit({ kind: "put", registration }, null);
}

/** Deletes a registration from a store. */
export async function remove(store: RegistrationStore, registration: StoredRegistration): Promise<void> {
  await store.submit({ kind: "delete", registration }, null);
}
