import type { JSX } from "preact";
import { formatLatency, formatNumber } from "../data/format.ts";
import { total } from "../data/history.ts";
import type { LiveState } from "../data/live.ts";
import { formatRoute } from "../data/route.ts";
import { Card, Tile } from "../parts/card.tsx";
import { EventList } from "../parts/event-line.tsx";
import { Federation } from "../parts/federation.tsx";
import { NodeCard } from "../parts/node-card.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { StaleCard } from "../parts/stale-card.tsx";
import { UpstreamsTable } from "../parts/upstreams-table.tsx";

const LATEST_EVENTS = 8;

/** The node at a glance: counts, who follows whom, what is stale, the latest events. */
export function Overview({ state }: { readonly state: LiveState }): JSX.Element | null {
  if (state.reading === null) return null;
  const { node, upstreams } = state.reading;
  const [listen] = node.listen;
  return (
    <>
      <Tiles state={state} />
      <div class="columns">
        <Card title="Who follows whom" aside={<LiveCount state={state} />}>
          <Federation node={node} upstreams={upstreams} />
        </Card>
        <NodeCard node={node} />
      </div>
      <StaleCard state={state} />
      {upstreams.length === 0 ? null : (
        <Card title="Upstreams">
          <UpstreamsTable upstreams={upstreams} />
        </Card>
      )}
      <Card title="Latest events" aside={<a href={formatRoute("events")}>all events</a>}>
        {state.events.length === 0 ? (
          <>
            <p class="muted">Nothing has happened since the node was started.</p>
            {node.roles.includes("rd") && listen !== undefined ? (
              <p class="muted">
                To register an endpoint:{" "}
                <code>{`tributary register --at ${listen} --ep lamp1 '</light>;rt="light"'`}</code>
              </p>
            ) : null}
          </>
        ) : (
          <EventList events={state.events} latest={LATEST_EVENTS} class="events" />
        )}
      </Card>
    </>
  );
}

function LiveCount({ state }: { readonly state: LiveState }): JSX.Element {
  const upstreams = state.reading?.upstreams ?? [];
  const live = upstreams.filter(({ phase }) => phase === "live").length;
  return <span class="muted small">{upstreams.length === 0 ? "" : `${live} of ${upstreams.length} live`}</span>;
}

function Tiles({ state }: { readonly state: LiveState }): JSX.Element | null {
  const { moments, reading } = state;
  if (reading === null) return null;
  const { visible, superseded, stale } = reading.node.registrations;
  const now = moments.at(-1);
  const lookups = moments.map((moment) => total(moment.lookups));
  const slowest = [...moments].reverse().find(({ p99 }) => p99 !== null)?.p99 ?? null;
  return (
    <dl class="tiles">
      <Tile label="Registrations shown" value={formatNumber(visible)} note={noteOf(visible, stale)}>
        <Sparkline values={moments.map((moment) => moment.visible)} />
      </Tile>
      <Tile label="Hidden" value={formatNumber(superseded)} note="superseded by a newer registration" />
      <Tile
        label="Stale"
        value={formatNumber(stale)}
        note={stale === 0 ? "all sources are reached" : "their RD is not reached"}
      />
      <Tile
        label="Lookups per second"
        value={formatNumber(now === undefined ? 0 : total(now.lookups))}
        note="over CoAP and HTTP"
      >
        <Sparkline values={lookups} />
      </Tile>
      <Tile
        label="Latency, 99 %"
        value={slowest === null ? "–" : formatLatency(slowest)}
        note={slowest === null ? "no lookups since the page was opened" : "of the latest lookups"}
      />
    </dl>
  );
}

function noteOf(visible: number, stale: number): string | undefined {
  if (visible === 0) return "none yet";
  return stale === 0 ? "all of them are current" : undefined;
}
