import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { fetchJson } from "../data/fetch-json.ts";
import { useFetched } from "../data/fetched.ts";
import { type FilterItem, formatQuery, parseFilter } from "../data/filters.ts";
import { formatNumber, visibleText } from "../data/format.ts";
import type { LiveState } from "../data/live.ts";
import { lookUp, PAGE_SIZE } from "../data/lookup.ts";
import { formatRoute } from "../data/route.ts";
import type { RegistrationView } from "../data/types.ts";
import { Card } from "../parts/card.tsx";
import { EndpointResults, ResourceResults } from "../parts/lookup-results.tsx";
import { Pager } from "../parts/pager.tsx";
import { RecordResults } from "../parts/record-results.tsx";
import { KINDS, SearchForm, type SearchKind } from "../parts/search-form.tsx";
import { WhyPanel } from "../parts/why-panel.tsx";

interface SearchProps {
  readonly state: LiveState;
  readonly query: URLSearchParams;
}

/** Search over endpoints, resources and records; or why one endpoint is shown or not. */
export function Search({ state, query }: SearchProps): JSX.Element {
  const kind = KINDS.find(({ id }) => id === query.get("kind"))?.id ?? "ep";
  const text = query.get("q") ?? "";
  const filter = parseFilter(text);
  const problem = filter.ok ? problemOf(kind, filter.items) : filter.problem;
  const why = query.get("why");
  return (
    <>
      <Card title="What to look for">
        <SearchForm kind={kind} text={text} state={query.get("state") ?? ""} problem={problem} />
      </Card>
      {why !== null ? (
        <Card title={`Why ${visibleText(why)} is shown or not`}>
          <WhyPanel key={why} ep={why} d={query.get("d") ?? undefined} />
        </Card>
      ) : !filter.ok || problem !== null ? null : kind === "records" ? (
        <Records state={state} query={query} items={filter.items} />
      ) : (
        <Links state={state} query={query} kind={kind} items={filter.items} />
      )}
    </>
  );
}

/** Records are selected by other parameters than lookups. */
function problemOf(kind: SearchKind, items: readonly FilterItem[]): string | null {
  if (kind !== "records") return null;
  const other = items.find(({ name }) => !["ep", "d", "source"].includes(name));
  if (other !== undefined) return `records are selected by ep, d and source, not by ${other.name}`;
  return null;
}

interface ResultsProps extends SearchProps {
  readonly items: readonly FilterItem[];
}

function Links({ state, query, kind, items }: ResultsProps & { readonly kind: "ep" | "res" }): JSX.Element {
  const page = pageOf(query);
  const key = `${kind} ${page} ${formatQuery(items)}`;
  const { value, error, isLoading, reload } = useFetched(key, async (signal) => ({
    key,
    ...(await lookUp(kind, items, page, signal)),
  }));
  const at = (number: number): string =>
    formatRoute("search", { kind, q: query.get("q") ?? "", page: number === 0 ? "" : String(number) });
  const count = value?.links.length ?? 0;
  const all = kind === "ep" && items.length === 0 ? state.reading?.node.registrations.visible : undefined;
  return (
    <Card title="Results" aside={<Refresh state={state} loaded={value} reload={reload} />}>
      {error === null ? null : (
        <p class="warn-text" role="alert">
          {error}
        </p>
      )}
      {value === null || value.key.split(" ")[0] !== kind ? (
        <p class="muted">{isLoading ? "Looking up …" : ""}</p>
      ) : (
        <>
          {value.missing.length === 0 ? null : (
            <p class="banner warn">The part of {value.missing.join(", ")} is missing.</p>
          )}
          {kind === "ep" ? (
            <EndpointResults key={value.key} links={value.links} />
          ) : (
            <ResourceResults key={value.key} links={value.links} />
          )}
          <Pager
            first={page > 0 ? at(0) : null}
            previous={page > 0 ? at(page - 1) : null}
            next={value.hasNext ? at(page + 1) : null}
          >
            {count === 0
              ? "no results"
              : `${formatNumber(page * PAGE_SIZE + 1)} to ${formatNumber(page * PAGE_SIZE + count)}`}
            {all === undefined || count === 0 ? "" : ` of ${formatNumber(all)}`}
          </Pager>
        </>
      )}
    </Card>
  );
}

function Records({ state, query, items }: ResultsProps): JSX.Element {
  const selected = query.get("state") ?? "";
  const after = query.get("after") ?? "";
  const parameters = [
    ...items.map(({ name, value }) => ({ name, value: name === "ep" ? value.replace(/\*$/, "") : value })),
    ...(selected === "" ? [] : [{ name: "state", value: selected }]),
    ...(after === "" ? [] : [{ name: "after", value: after }]),
    { name: "limit", value: String(PAGE_SIZE) },
  ];
  const key = formatQuery(parameters);
  const { value, error, isLoading, reload } = useFetched(key, async (signal) => {
    const found = await fetchJson<{ registrations: RegistrationView[]; next: string | null }>(
      `api/registrations?${key}`,
      signal,
    );
    return { ...found, atMs: Date.now(), key };
  });
  const at = (cursor: string): string =>
    formatRoute("search", { kind: "records", q: query.get("q") ?? "", state: selected, after: cursor });
  return (
    <Card title="Results" aside={<Refresh state={state} loaded={value} reload={reload} />}>
      {error === null ? null : (
        <p class="warn-text" role="alert">
          {error}
        </p>
      )}
      {value === null ? (
        <p class="muted">{isLoading ? "Reading …" : ""}</p>
      ) : (
        <>
          <RecordResults key={value.key} records={value.registrations} atMs={value.atMs} />
          <Pager
            first={after === "" ? null : at("")}
            previous={null}
            next={value.next === null ? null : at(value.next)}
          >
            {said(value.registrations.length)}
          </Pager>
        </>
      )}
    </Card>
  );
}

function said(count: number): string {
  if (count === 0) return "no results";
  return count === 1 ? "1 record" : `${count} records`;
}

function pageOf(query: URLSearchParams): number {
  const text = query.get("page") ?? "0";
  return /^\d{1,8}$/.test(text) ? Number(text) : 0;
}

/** Says that something happened since the results were read, and reads them again. */
function Refresh({
  state,
  loaded,
  reload,
}: {
  readonly state: LiveState;
  readonly loaded: object | null;
  readonly reload: () => void;
}): JSX.Element | null {
  const latest = state.events.at(-1)?.id ?? 0;
  const seen = useRef(latest);
  // What was the latest event when the results arrived.
  useEffect(() => {
    seen.current = latest;
  }, [loaded]);
  if (loaded === null || latest === seen.current) return null;
  return (
    <button type="button" class="button" onClick={reload}>
      Refresh: something has changed
    </button>
  );
}
