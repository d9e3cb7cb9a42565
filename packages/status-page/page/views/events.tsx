import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatNumber } from "../data/format.ts";
import type { LiveState } from "../data/live.ts";
import type { EventView } from "../data/types.ts";
import { Card } from "../parts/card.tsx";
import { EventList } from "../parts/event-line.tsx";
import { Status } from "../parts/status.tsx";

const GROUPS = [
  { title: "registrations", kinds: ["registered", "updated", "removed", "expired"] },
  { title: "what is shown", kinds: ["superseded", "returned"] },
  { title: "connections", kinds: ["connected", "lost"] },
] as const;
/** Lines that are drawn at once. */
const STEP = 100;

/** What happened, as it happens. */
export function Events({ state }: { readonly state: LiveState }): JSX.Element {
  const [hidden, setHidden] = useState<readonly string[]>([]);
  const [text, setText] = useState("");
  const [pausedAt, setPausedAt] = useState<number | null>(null);
  const [shown, setShown] = useState(STEP);
  const excluded = new Set<string>(GROUPS.filter(({ title }) => hidden.includes(title)).flatMap(({ kinds }) => kinds));
  const matching = state.events.filter(
    (event) => !excluded.has(event.kind) && concerns(event, text) && event.id <= (pausedAt ?? event.id),
  );
  const latest = state.events.at(-1)?.id ?? 0;
  const toggle = (title: string): void =>
    setHidden(hidden.includes(title) ? hidden.filter((one) => one !== title) : [...hidden, title]);
  return (
    <Card
      title="What happened"
      aside={
        state.isStreaming ? <Status kind="good">as it happens</Status> : <Status kind="warn">no connection</Status>
      }
    >
      <div class="field-row">
        <label class="grow">
          <span class="small muted">Endpoint, sector, source or path</span>
          <input
            type="text"
            value={text}
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <fieldset class="checks">
          <legend class="unseen">Kinds of events</legend>
          {GROUPS.map(({ title }) => (
            <label key={title}>
              <input type="checkbox" checked={!hidden.includes(title)} onChange={() => toggle(title)} /> {title}
            </label>
          ))}
        </fieldset>
        <button
          type="button"
          class="button tall"
          aria-pressed={pausedAt !== null}
          onClick={() => setPausedAt(pausedAt === null ? latest : null)}
        >
          {pausedAt === null ? "Pause" : `Go on (${formatNumber(latest - pausedAt)} new)`}
        </button>
      </div>
      {matching.length === 0 ? <p class="muted">Nothing like that has happened since the node was started.</p> : null}
      <EventList events={matching} latest={shown} class="events log" />
      {matching.length > shown ? (
        <button type="button" class="button" onClick={() => setShown(shown + STEP)}>
          Show earlier ones
        </button>
      ) : null}
      <p class="small muted">
        The page keeps the latest 1,000 events, the node 10,000: /api/events?limit=10000. Renewals are none.
      </p>
    </Card>
  );
}

function concerns({ ep, d, source, href, before }: EventView, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return true;
  return [ep, d, source, href, before?.source, before?.href].some(
    (one) => one?.toLowerCase().includes(wanted) === true,
  );
}
