import { isPathAbsolute } from "@tributary/link-model";
import type { Directory, Registration, SourcedRegistration, VisibleChange } from "@tributary/merge-engine";
import type { FeedScope, LoggedChange, WallClock } from "@tributary/replication";
import type { FeedPositions, OnDiskRegistrations, ResourceDirectory } from "../types.js";

/** A change of what is published. */
export interface PublishedChange extends LoggedChange {
  /** As it is now; of a removal, as it was, or nothing. */
  readonly registration: Partial<Pick<Registration, "zone" | "stampMs" | "via">>;
}

/** What a feed contains. */
export interface PublishedRegistrations {
  /** The scope of the criterion by which the feed is requested. */
  readonly scope: FeedScope;
  /** Returns the registration with this href. */
  get(href: string): Registration | undefined;
  /** Whether there is such a registration, found without reading it. */
  has(href: string): boolean;
  /** Iterates over the hrefs of all registrations. */
  hrefs(): Iterable<string>;
  /** The wall clock by which renewals are reported. */
  readonly wallClock: WallClock;
  /** Positions of the changes; absent: the feed counts by itself. */
  readonly positions?: FeedPositions;
  /** Returns the unsubscribe function. */
  onChange(listener: (change: PublishedChange) => void): () => void;
}

/**
 * What one source of the directory holds: the feed of an RD (draft 4.4.2). `registered`: the RD, which knows the
 * positions of changes, and what it holds besides: that there is no memory for it here does not mean that there is none at its proxies.
 */
export function registrationsOfSource(
  directory: Directory,
  source: string,
  registered?: Pick<ResourceDirectory, "onDiskRegistrations" | "positions">,
): PublishedRegistrations {
  const { onDiskRegistrations: onDisk = NONE_ON_DISK, positions } = registered ?? {};
  return {
    scope: "own",
    has: (href) => directory.has(source, href) || onDisk.has(href),
    get(href) {
      const registration = directory.get(source, href) ?? onDisk.get(href);
      // Stamps of before the wall clock was set say nothing any more: the time follows from the age.
      if (registration?.stampMs === undefined || directory.lead(source) !== null) return registration;
      const { stampMs: _, ...placed } = registration;
      return placed;
    },
    wallClock: directory.clock,
    ...(positions === undefined ? {} : { positions }),
    *hrefs() {
      if (directory.sources().includes(source)) yield* directory.hrefs(source);
      yield* onDisk.hrefs();
    },
    onChange(listener) {
      const stops = [
        directory.on("source", (change) => {
          if (change.source !== source) return;
          // The store has the end of a lifetime as a change of its own.
          if (positions === undefined || change.cause !== "expired") listener(change);
        }),
        onDisk.onChange((change) => listener({ ...change, endpointChanged: true, linksChanged: true })),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
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
  const shownAt = (href: string): SourcedRegistration | undefined => {
    const key = keys.get(href);
    const shown = key === undefined ? undefined : directory.winner(...key);
    return shown?.shownHref === href ? shown : undefined;
  };
  return {
    scope: "all",
    wallClock: { stampOf: (ms) => directory.clock.timeAt(ms), leadMs: 0 },
    has: (href) => shownAt(href) !== undefined,
    get(href) {
      const shown = shownAt(href);
      return shown === undefined ? undefined : published(shown);
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

const NONE_ON_DISK: OnDiskRegistrations = {
  has: () => false,
  get: () => undefined,
  hrefs: () => [],
  onChange: () => () => {},
};

const GONE = { kind: "removed", endpointChanged: true, linksChanged: true } as const;

/** A registration that comes by another route is published again: its age and its content are those of that route. */
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
