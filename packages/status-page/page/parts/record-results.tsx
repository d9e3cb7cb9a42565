import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatDuration } from "../data/format.ts";
import { useNow } from "../data/live.ts";
import type { RegistrationView } from "../data/types.ts";
import { EndpointName, Name, Uri } from "./name.tsx";
import { RecordStatus } from "./record-status.tsx";
import { Table } from "./table.tsx";
import { WhyPanel } from "./why-panel.tsx";

interface RecordResultsProps {
  readonly records: readonly RegistrationView[];
  /** When they were read, as `Date.now()`. */
  readonly atMs: number;
}

/** Records with their states, hidden ones as well; each can be asked why. */
export function RecordResults({ records, atMs }: RecordResultsProps): JSX.Element {
  const [opened, setOpened] = useState<string | null>(null);
  const passedS = Math.max(0, (useNow() - atMs) / 1000);
  const keyOf = ({ source, href }: RegistrationView): string => `${source} ${href}`;
  return (
    <Table
      caption="Records"
      rows={records}
      keyOf={keyOf}
      columns={[
        {
          title: "Endpoint",
          cell: (record) => {
            const isOpen = opened === keyOf(record);
            return (
              <button
                type="button"
                class="disclose"
                aria-expanded={isOpen}
                onClick={() => setOpened(isOpen ? null : keyOf(record))}
              >
                <EndpointName ep={record.ep} d={record.d} />
                <span class="unseen"> – why it is {record.state === "superseded" ? "hidden" : "shown"}</span>
              </button>
            );
          },
        },
        { title: "State", cell: ({ state, stale }) => <RecordStatus state={state} stale={stale} /> },
        { title: "Source", cell: ({ source }) => <Name text={source} /> },
        { title: "Registration", cell: ({ href }) => <Uri text={href} /> },
        { title: "Links", isNumber: true, cell: ({ links }) => String(links) },
        { title: "Renewed", isNumber: true, cell: ({ age }) => `${formatDuration(age + passedS)} ago` },
        {
          title: "Ends in",
          isNumber: true,
          cell: ({ expiresIn }) => (expiresIn <= passedS ? "ended" : formatDuration(expiresIn - passedS)),
        },
      ]}
      detail={(record) => (opened === keyOf(record) ? <WhyPanel ep={record.ep} d={record.d ?? ""} /> : null)}
      empty="No record matches."
    />
  );
}
