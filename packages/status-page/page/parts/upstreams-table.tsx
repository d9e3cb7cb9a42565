import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes, formatDuration, formatNumber } from "../data/format.ts";
import type { UpstreamView } from "../data/types.ts";
import { Name, Uri } from "./name.tsx";
import { kindOfPhase, Status } from "./status.tsx";
import { type Column, Table } from "./table.tsx";

/** The upstreams with their states; each can be opened. */
export function UpstreamsTable({ upstreams }: { readonly upstreams: readonly UpstreamView[] }): JSX.Element {
  const [opened, setOpened] = useState<string | null>(null);
  const columns: Column<UpstreamView>[] = [
    {
      title: "Upstream",
      cell: ({ name, uri }) => (
        <>
          <button
            type="button"
            class="disclose"
            aria-expanded={opened === name}
            onClick={() => setOpened(opened === name ? null : name)}
          >
            <Name text={name} />
          </button>
          {uri.endsWith(`//${name}`) ? null : <Uri text={uri} />}
        </>
      ),
    },
    { title: "State", cell: ({ phase }) => <Status kind={kindOfPhase(phase)}>{phase}</Status> },
    { title: "Followed by", cell: followedBy },
    { title: "Coverage", cell: Coverage },
    {
      title: "Registrations",
      isNumber: true,
      cell: ({ registrations, mode }) => (mode === "forward" ? "–" : formatNumber(registrations)),
    },
    {
      title: "Left out",
      isNumber: true,
      cell: ({ leftOut }) => formatNumber(Object.values(leftOut).reduce((sum, count) => sum + count, 0)),
    },
    { title: "Lag", isNumber: true, cell: ({ lag }) => (lag === undefined ? "–" : formatDuration(lag)) },
    {
      title: "Last contact",
      cell: ({ lastContactAge }) => (lastContactAge === undefined ? "never" : `${formatDuration(lastContactAge)} ago`),
    },
  ];
  return (
    <Table
      caption="Upstreams"
      columns={columns}
      rows={upstreams}
      keyOf={({ name }) => name}
      detail={(upstream) =>
        upstream.name === opened || upstream.error !== undefined ? (
          <Detail upstream={upstream} isOpen={upstream.name === opened} />
        ) : null
      }
      empty="This node follows no other RD."
    />
  );
}

function followedBy({ mode, method, transport }: UpstreamView): string {
  if (mode === "forward") return "asked for each lookup";
  return transport === undefined || transport === "udp" ? method : `${method} over ${transport.toUpperCase()}`;
}

function Coverage({ coverage, complete, mode }: UpstreamView): JSX.Element {
  if (mode === "forward") return <span class="muted">nothing is copied</span>;
  if (coverage.length === 0) return <span class="muted">nothing yet</span>;
  return (
    <>
      {coverage.includes("*") ? "everything" : coverage.map((filter) => <Uri key={filter} text={filter} />)}
      {complete ? null : <span class="warn-text"> incomplete</span>}
    </>
  );
}

function Detail({ upstream, isOpen }: { readonly upstream: UpstreamView; readonly isOpen: boolean }): JSX.Element {
  const { error, leftOut, capabilities, attempts, feedBytes, mode, families = [], lastChangeAge } = upstream;
  const { remarks, ...abilities } = capabilities;
  const facts: [string, string][] = [
    ["mode", mode],
    ["attempts", formatNumber(attempts)],
    ["received", formatBytes(feedBytes)],
    ["last change", lastChangeAge === undefined ? "none" : `${formatDuration(lastChangeAge)} ago`],
    ...Object.entries(leftOut).map(([cause, count]): [string, string] => [`left out: ${cause}`, formatNumber(count)]),
    ...Object.entries(abilities).map(([name, value]): [string, string] => [spoken(name), String(value)]),
  ];
  return (
    <>
      {error === undefined ? null : (
        <p class="warn-text">
          <Name text={error} />
        </p>
      )}
      {isOpen ? (
        <>
          <dl class="facts">
            {facts.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <Name text={value} />
                </dd>
              </div>
            ))}
          </dl>
          {remarks.map((remark) => (
            <p key={remark} class="muted">
              <Name text={remark} />
            </p>
          ))}
          {families.length === 0 ? null : (
            <Table
              caption="Families of lookups that are copied"
              rows={families}
              keyOf={({ filter }) => filter}
              columns={[
                { title: "Family", cell: ({ filter }) => <Uri text={filter} /> },
                { title: "State", cell: ({ phase }) => <Status kind={kindOfPhase(phase)}>{phase}</Status> },
                { title: "Registrations", isNumber: true, cell: ({ registrations }) => formatNumber(registrations) },
                { title: "Last asked for", cell: ({ idle }) => `${formatDuration(idle)} ago` },
              ]}
              empty=""
            />
          )}
        </>
      ) : null}
    </>
  );
}

/** `endpointLookup` as `endpoint lookup`. */
function spoken(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
