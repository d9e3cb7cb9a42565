import type { JSX } from "preact";
import { fetchJson } from "../data/fetch-json.ts";
import { useFetched } from "../data/fetched.ts";
import { formatQuery } from "../data/filters.ts";
import { formatDuration } from "../data/format.ts";
import type { Explanation } from "../data/types.ts";
import { EventLine } from "./event-line.tsx";
import { EndpointName, Name, Uri } from "./name.tsx";
import { RecordStatus } from "./record-status.tsx";
import { kindOfPhase, Status } from "./status.tsx";
import { Table } from "./table.tsx";

/** Why an endpoint is shown or not: its registrations, what each upstream has of it, and what happened. Without `d`: in all sectors. */
export function WhyPanel({ ep, d }: { readonly ep: string; readonly d?: string | undefined }): JSX.Element {
  const query = formatQuery([{ name: "ep", value: ep }, ...(d === undefined ? [] : [{ name: "d", value: d }])]);
  const { value, error } = useFetched(query, (signal) => fetchJson<Explanation>(`api/why?${query}`, signal));
  if (error !== null) return <p class="warn-text">{error}</p>;
  if (value === null) return <p class="muted">Asking the node …</p>;
  return (
    <div class="why">
      <Registrations explanation={value} />
      {value.upstreams.length === 0 ? null : (
        <>
          <h3>At the upstreams</h3>
          <Table
            caption={`What upstreams have of ${ep}`}
            rows={value.upstreams}
            keyOf={({ name }) => name}
            columns={[
              { title: "Upstream", cell: ({ name }) => <Name text={name} /> },
              { title: "State", cell: ({ phase }) => <Status kind={kindOfPhase(phase)}>{phase}</Status> },
              { title: "Has it", cell: ({ has }) => (has ? "yes" : "no") },
              { title: "Because", cell: ({ reason }) => <Name text={reason} /> },
            ]}
            empty=""
          />
        </>
      )}
      {value.events.length === 0 ? null : (
        <>
          <h3>What happened</h3>
          <ol class="events">
            {value.events.map((event) => (
              <li key={event.id}>
                <EventLine event={event} />
              </li>
            ))}
          </ol>
        </>
      )}
    </div>
  );
}

function Registrations({ explanation }: { readonly explanation: Explanation }): JSX.Element {
  return (
    <ul class="reasons">
      {explanation.registrations.length === 0 ? (
        <li>
          No registration of <EndpointName ep={explanation.ep} d={explanation.d} /> is known here.
        </li>
      ) : (
        explanation.registrations.map(({ source, href, ep, d, state, stale, reason, age, expiresIn, lt, base }) => (
          <li key={`${source} ${href}`}>
            <RecordStatus state={state} stale={stale} />
            <div>
              <p>
                <EndpointName ep={ep} d={d} /> at <Name text={source} />: {reason}.
              </p>
              <p class="small muted">
                <Uri text={href} /> with base <Uri text={base} />, renewed {formatDuration(age)} ago
                {lt === undefined ? "" : ` for ${formatDuration(lt)}`}, ends in {formatDuration(expiresIn)}
              </p>
            </div>
          </li>
        ))
      )}
    </ul>
  );
}
