import { type Attribute, firstValue, isPathAbsolute, type Link } from "@tributary/link-model";
import { type Directory, LT_AGE } from "@tributary/merge-engine";
import { lifetimeAgeS } from "@tributary/replication";

/**
 * Endpoint links with `lt` and `lt-age`, in seconds, of the registrations that this node took itself (draft 5.2). What came
 * from elsewhere stays without: its ages are for those who replicate it (draft 6.2). Lazy.
 */
export function* withLifetimeAges(links: Iterable<Link>, directory: Directory, nowMs: number): Generator<Link> {
  for (const link of links) yield withLifetimeAge(link, directory, nowMs);
}

/** One of these links. */
export function withLifetimeAge(link: Link, directory: Directory, nowMs: number): Link {
  const ep = firstValue(link, "ep");
  if (!isPathAbsolute(link.target) || typeof ep !== "string") return link;
  const d = firstValue(link, "d") ?? undefined;
  const winner = directory.winner(ep, d);
  // One that is superseded is shown too where what is registered here is asked for.
  const isShown = winner?.shownHref === link.target;
  const registration = isShown
    ? winner
    : directory.candidates(ep, d).find(({ shownHref }) => shownHref === link.target);
  if (registration?.ltMs === undefined) return link;
  const ages: Attribute[] = [
    ["lt", String(Math.floor(registration.ltMs / 1000))],
    [LT_AGE, String(lifetimeAgeS(registration, nowMs))],
  ];
  return { target: link.target, attributes: [...link.attributes, ...ages] };
}
