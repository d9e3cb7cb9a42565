import type { GlobalLookup } from "@tributary/global-lookup";
import type { Directory, SourcedRegistration } from "@tributary/merge-engine";
import { LOCAL_SOURCE } from "./memory-plan.js";

/** Collaborators of `announceNames`. */
export interface AnnouncedNamesDeps {
  readonly directory: Directory;
  readonly global: Pick<GlobalLookup, "announce" | "withdraw">;
  /** Whether a registration is to be announced. */
  readonly isWanted: (registration: SourcedRegistration) => boolean;
}

/** Announces the names of the registrations of this node, now and as they come and go. Returns the function that stops that. */
export function announceNames({ directory, global, isWanted }: AnnouncedNamesDeps): () => void {
  const names = new Map<string, string>();
  /** Registrations by name: endpoints in several sectors may have the same one. */
  const holders = new Map<string, number>();
  const add = (href: string, name: string): void => {
    names.set(href, name);
    const count = holders.get(name) ?? 0;
    holders.set(name, count + 1);
    if (count === 0) global.announce(name);
  };
  const remove = (href: string, name: string): void => {
    names.delete(href);
    const count = (holders.get(name) ?? 0) - 1;
    if (count > 0) {
      holders.set(name, count);
      return;
    }
    holders.delete(name);
    global.withdraw(name);
  };
  const follow = (registration: SourcedRegistration, isThere: boolean): void => {
    const { href, ep } = registration;
    const known = names.get(href);
    const isNamed = isThere && isWanted(registration);
    if (isNamed && known === undefined) add(href, ep);
    else if (!isNamed && known !== undefined) remove(href, known);
  };
  for (const href of directory.hrefs(LOCAL_SOURCE)) {
    const registration = directory.get(LOCAL_SOURCE, href);
    if (registration !== undefined) follow(registration, true);
  }
  return directory.on("source", ({ source, kind, registration }) => {
    if (source === LOCAL_SOURCE && kind !== "renewed") follow(registration, kind !== "removed");
  });
}
