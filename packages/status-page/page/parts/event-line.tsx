import type { JSX } from "preact";
import { formatTime } from "../data/format.ts";
import { formatRoute } from "../data/route.ts";
import type { EventView } from "../data/types.ts";
import { EndpointName, Name, Uri } from "./name.tsx";
import { Status, type StatusKind } from "./status.tsx";

const KINDS: Readonly<Record<string, StatusKind>> = {
  registered: "good",
  connected: "good",
  returned: "good",
  updated: "idle",
  superseded: "idle",
  removed: "warn",
  expired: "warn",
  lost: "bad",
};

/** The latest of these events, the newest first. */
export function EventList(props: {
  readonly events: readonly EventView[];
  readonly latest: number;
  readonly class: string;
}): JSX.Element {
  const { events, latest, class: name } = props;
  return (
    <ol class={name}>
      {events
        .slice(-latest)
        .reverse()
        .map((event) => (
          <li key={event.id}>
            <EventLine event={event} />
          </li>
        ))}
    </ol>
  );
}

/** An event in a line; endpoints lead to why they are shown or not. */
export function EventLine({ event }: { readonly event: EventView }): JSX.Element {
  const { at, kind, ep, d, source, href, before } = event;
  return (
    <>
      <time dateTime={at}>{formatTime(at)}</time>
      <Status kind={KINDS[kind] ?? "idle"}>{kind}</Status>
      <span class="what">
        {ep === undefined ? null : (
          <a href={formatRoute("search", { why: ep, d: d ?? "" })}>
            <EndpointName ep={ep} d={d} />
          </a>
        )}
        {source === undefined ? null : (
          <span class={ep === undefined ? undefined : "muted"}>
            {ep === undefined ? "" : " at "}
            <Name text={source} />
          </span>
        )}
        {before === undefined ? null : (
          <span class="muted">
            {" "}
            instead of the one at <Name text={before.source} />
          </span>
        )}
        {href === undefined ? null : <Uri text={href} />}
      </span>
    </>
  );
}
