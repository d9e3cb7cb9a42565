import { isPathAbsolute } from "@tributary/link-model";
import type { Directory, Registration, SourcedRegistration, VisibleChange } from "@tributary/merge-engine";
import type { LoggedChange, WallClock } from "@tributary/replication";

/** A change of what is published. */
export interface PublishedChange extends LoggedChange {
  /** As it is now; of a removal, as it was. */
  readonly registration: Registration;
}

/** What a feed tells of. */
export interface PublishedRegistrations {
  /** Prefix of registration resources by which it is asked for: the value of `href` or `provenance` before the star. */
  readonly selector: string;
  get(href: string): Registration | undefined;
  hrefs(): Iterable<string>;
  /** The wall clock by which renewals are told. */
  readonly wallClock: WallClock;
  /** Returns the unsubscribe function. */
  onChange(listener: (change: PublishedChange) => void): () => void;
}

/** What one source of the directory holds: the feed of an RD (draft 4.4.2). */
export function registrationsOfSource(directory: Directory, source: string): PublishedRegistrations {
  return {
    selector: "/",
    get(href) {
      const registration = directory.get(source, href);
      // Stamps of before the wall clock was set say nothing any more: the time follows from the age.
      if (registration?.stampMs === undefined || directory.lead(source) !== null) return registration;
      const { stampMs: _, ...placed } = registration;
      return placed;
    },
    wallClock: directory.clock,
    hrefs: () => (directory.sources().includes(source) ? directory.hrefs(source) : []),
    onChange: (listener) =>
      directory.on("source", (change) => {
        if (change.source === source) listener(change);
      }),
  };
}

/**
 * What lookups show, of whatever source: the feed of a proxy to another one above it. Registration resources are those of
 * their RDs; each registration carries the proxies that it came through, with `nodeId` behind them, so that one of them never
 * takes it again.
 */
export function visibleRegistrations(directory: Directory, nodeId: string): PublishedRegistrations {
  /** Endpoint name and sector of what is shown under each registration resource. */
  const keys = new Map<string, readonly [ep: string, d: string | undefined]>();
  const published = (registration: SourcedRegistration): Registration => ({
    ...registration,
    href: registration.shownHref,
    // What is registered here is placed by the clock that the patches carry.
    ...(registration.stampMs === undefined && isPathAbsolute(registration.shownHref)
      ? {}
      : { stampMs: registration.orderMs }),
    via: [...(registration.via ?? []), nodeId],
  });
  return {
    selector: "",
    wallClock: { stampOf: (ms) => directory.clock.timeAt(ms), leadMs: 0 },
    get(href) {
      const key = keys.get(href);
      const shown = key === undefined ? undefined : directory.winner(...key);
      return shown?.shownHref === href ? published(shown) : undefined;
    },
    *hrefs() {
      for (const { registration, state } of directory.inspect()) {
        if (state === "superseded") continue;
        keys.set(registration.shownHref, [registration.ep, registration.d]);
        yield registration.shownHref;
      }
    },
    onChange: (listener) =>
      directory.on("visible", (change) => {
        const { before, after, ep, d } = change;
        if (before !== undefined && before.shownHref !== after?.shownHref) {
          keys.delete(before.shownHref);
          listener({ ...GONE, href: before.shownHref, registration: published(before) });
        }
        if (after === undefined) return;
        keys.set(after.shownHref, [ep, d]);
        listener({ ...kindOf(change), href: after.shownHref, registration: published(after) });
      }),
  };
}

const GONE = { kind: "removed", endpointChanged: true, linksChanged: true } as const;

/** A registration that is told by another route is told anew: its age and its content are those of that route. */
function kindOf({
  before,
  after,
  cause,
}: VisibleChange): Pick<LoggedChange, "kind" | "endpointChanged" | "linksChanged"> {
  if (before === undefined || before.shownHref !== after?.shownHref)
    return { kind: "added", endpointChanged: true, linksChanged: true };
  const isRenewal = cause === "renewed" && before.source === after.source;
  return { kind: isRenewal ? "renewed" : "replaced", endpointChanged: !isRenewal, linksChanged: !isRenewal };
}
