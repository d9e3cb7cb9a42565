import type { JSX } from "preact";
import { formatDuration, formatNumber } from "../data/format.ts";
import { type LiveState, useNow } from "../data/live.ts";
import { Card } from "./card.tsx";
import { EndpointName, Name } from "./name.tsx";
import { Table } from "./table.tsx";

/** What is shown although its RD is not reached, and how long it still is. Nothing while all are reached. */
export function StaleCard({ state }: { readonly state: LiveState }): JSX.Element | null {
  const nowMs = useNow();
  const { stale, staleAtMs } = state;
  if (stale === null || stale.sources.length === 0) return null;
  const passedS = Math.max(0, (nowMs - staleAtMs) / 1000);
  const left = (seconds: number): string => (seconds <= passedS ? "ended" : formatDuration(seconds - passedS));
  return (
    <Card title="Stale registrations" aside={<span class="muted small">shown until their lifetimes end</span>}>
      <Table
        caption="Sources that are not reached"
        rows={stale.sources}
        keyOf={({ source }) => source}
        columns={[
          { title: "Source", cell: ({ source }) => <Name text={source} /> },
          { title: "Registrations", isNumber: true, cell: ({ registrations }) => formatNumber(registrations) },
          { title: "First one ends in", isNumber: true, cell: ({ firstEnd }) => left(firstEnd) },
          { title: "Last one ends in", isNumber: true, cell: ({ lastEnd }) => left(lastEnd) },
        ]}
        empty=""
      />
      <h3>Next to end</h3>
      <ol class="countdown">
        {stale.next.map(({ source, ep, d, expiresIn, expiry }) => (
          <li key={`${source} ${ep} ${d ?? ""}`}>
            <span>
              <EndpointName ep={ep} d={d} />
            </span>
            <span class="number" title={expiry === "exact" ? undefined : "the lifetime is an assumption"}>
              {expiry === "exact" ? "" : "about "}
              {left(expiresIn)}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
