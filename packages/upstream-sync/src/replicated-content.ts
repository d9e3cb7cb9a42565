import type { Registration } from "@tributary/merge-engine";

/** What a registration says, without when and without where it was read from. */
export type ReplicatedContent = Omit<Registration, "renewedAtMs" | "expiresAtMs" | "stampMs" | "zone">;

/** The content of a registration, which may be a view of a directory with more to it. Pure. */
export function contentOf(registration: Registration): ReplicatedContent {
  const { href, ep, d, base, attributes, links, ltMs, expiry, via } = registration;
  return {
    href,
    ep,
    ...(d === undefined ? {} : { d }),
    base,
    attributes,
    links,
    ...(ltMs === undefined ? {} : { ltMs }),
    expiry,
    ...(via === undefined ? {} : { via }),
  };
}
