import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { parseFilter } from "../data/filters.ts";
import { formatRoute } from "../data/route.ts";

/** What can be searched. */
export const KINDS = [
  { id: "ep", title: "Endpoints" },
  { id: "res", title: "Resources" },
  { id: "records", title: "All records, also hidden ones" },
] as const;

/** One of the things that can be searched. */
export type SearchKind = (typeof KINDS)[number]["id"];

interface SearchFormProps {
  readonly kind: SearchKind;
  readonly text: string;
  readonly state: string;
  readonly problem: string | null;
}

const EXAMPLES: Readonly<Record<SearchKind, readonly string[]>> = {
  ep: ["ep=lamp*", "d=floor1", "rt=light", "href=/reg/42"],
  res: ["rt=temperature*", "if=core.s", "ep=lamp1", 'title="Room 5"'],
  records: ["ep=lamp1", "d=floor1", "source=rd-a"],
};

/** Kind and filter of a search. They go into the address, from which the results are shown. */
export function SearchForm({ kind, text, state, problem }: SearchFormProps): JSX.Element {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  const go = (change: Partial<{ kind: SearchKind; q: string; state: string }>): void => {
    location.hash = formatRoute("search", { kind, q: typed, state, ...change });
  };
  const filter = parseFilter(typed);
  return (
    <search>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          go({});
        }}
      >
        <fieldset class="choices">
          <legend class="unseen">What to search</legend>
          {KINDS.map(({ id, title }) => (
            <label key={id}>
              <input
                type="radio"
                name="kind"
                value={id}
                checked={kind === id}
                onChange={() => go({ kind: id, state: "" })}
              />
              <span>{title}</span>
            </label>
          ))}
        </fieldset>
        <div class="field-row">
          <label class="grow">
            <span class="small muted">Filter</span>
            <input
              type="text"
              value={typed}
              spellcheck={false}
              autocomplete="off"
              autocapitalize="none"
              aria-describedby="filter-help"
              aria-invalid={problem !== null || !filter.ok}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
          {kind === "records" ? (
            <label>
              <span class="small muted">State</span>
              <select value={state} onChange={(event) => go({ state: event.currentTarget.value })}>
                <option value="">any</option>
                <option value="visible">shown, RD reached</option>
                <option value="superseded">hidden</option>
                <option value="stale">stale</option>
              </select>
            </label>
          ) : null}
          <button type="submit" class="primary">
            Search
          </button>
        </div>
        <p id="filter-help" class="small muted">
          {kind === "records"
            ? "ep, d and source, each with its exact value. A word alone is an endpoint name."
            : "Criteria of RFC 9176 section 6.2; all have to hold, and an asterisk at the end is a wildcard. A word alone is the beginning of an endpoint name."}{" "}
          For example{" "}
          {EXAMPLES[kind].map((example) => (
            <button key={example} type="button" class="example" onClick={() => go({ q: example })}>
              <code>{example}</code>
            </button>
          ))}
        </p>
        {problem === null ? null : (
          <p class="warn-text" role="alert">
            {problem}
          </p>
        )}
      </form>
    </search>
  );
}
