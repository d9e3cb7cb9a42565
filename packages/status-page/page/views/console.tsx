import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Exchange, performExchange } from "../data/exchange.ts";
import { reasonOf } from "../data/fetch-json.ts";
import { formatBytes, formatLatency } from "../data/format.ts";
import type { LiveState } from "../data/live.ts";
import { formatRoute } from "../data/route.ts";
import { Card } from "../parts/card.tsx";
import { Preformatted } from "../parts/preformatted.tsx";
import { Terminal } from "../parts/terminal.tsx";

const PATHS = [
  "rd-lookup/ep",
  "rd-lookup/res",
  "api/why",
  "api/registrations",
  "api/upstreams",
  "api/node",
  "api/stale",
  "readyz",
  "metrics",
] as const;
const TYPES = [
  "application/link-format",
  "application/linkset+json",
  "application/linkset",
  "application/json",
] as const;

interface ConsoleProps {
  readonly state: LiveState;
  readonly query: URLSearchParams;
}

/** A request of one's own, with what was sent and what came back, and the same for a terminal. */
export function Console({ state, query }: ConsoleProps): JSX.Element {
  const [path, setPath] = useState<string>(PATHS.find((one) => one === query.get("path")) ?? "rd-lookup/res");
  const [search, setSearch] = useState(query.get("q") ?? "count=10");
  const [type, setType] = useState<string>(TYPES.find((one) => one === query.get("type")) ?? TYPES[0]);
  const [isConditional, setConditional] = useState(false);
  const [exchange, setExchange] = useState<Exchange | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isAsking, setAsking] = useState(false);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const isLookup = path.startsWith("rd-lookup/");
  const target = search === "" ? path : `${path}?${encodeURI(search).replaceAll("#", "%23")}`;

  const send = async (): Promise<void> => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setAsking(true);
    setError(null);
    history.replaceState(null, "", formatRoute("console", { path, q: search, type }));
    try {
      const etag = isConditional ? exchange?.etag : null;
      const headers = { ...(isLookup ? { accept: type } : {}), ...(etag == null ? {} : { "if-none-match": etag }) };
      const done = await performExchange(target, headers, controller.signal);
      if (!controller.signal.aborted) setExchange(done);
    } catch (failure) {
      if (!controller.signal.aborted) setError(reasonOf(failure));
    } finally {
      if (running.current === controller) setAsking(false);
    }
  };

  return (
    <>
      <Card title="Ask the node">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void send();
          }}
        >
          <div class="field-row">
            <label>
              <span class="small muted">Path</span>
              <select value={path} onChange={(event) => setPath(event.currentTarget.value)}>
                {PATHS.map((one) => (
                  <option key={one} value={one}>
                    /{one}
                  </option>
                ))}
              </select>
            </label>
            <label class="grow">
              <span class="small muted">Query</span>
              <input
                type="text"
                value={search}
                spellcheck={false}
                autocomplete="off"
                autocapitalize="none"
                placeholder="rt=light*&count=10"
                onInput={(event) => setSearch(event.currentTarget.value.replace(/^\?/, ""))}
              />
            </label>
            {isLookup ? (
              <label>
                <span class="small muted">Accept</span>
                <select value={type} onChange={(event) => setType(event.currentTarget.value)}>
                  {TYPES.map((one) => (
                    <option key={one} value={one}>
                      {one}
                    </option>
                  ))}
                </select>
              </label>
            ) : null}
            <button type="submit" class="primary">
              Send
            </button>
          </div>
          <p>
            <label class="small">
              <input
                type="checkbox"
                checked={isConditional}
                onChange={(event) => setConditional(event.currentTarget.checked)}
              />{" "}
              only if changed since the last response (If-None-Match)
            </label>
          </p>
        </form>
        <Terminal
          path={path}
          search={search}
          type={isLookup ? type : null}
          target={target}
          listen={state.reading?.node.listen ?? []}
        />
      </Card>
      <Card title="What was sent and what came back" aside={<Summary exchange={exchange} isAsking={isAsking} />}>
        {error === null ? null : (
          <p class="warn-text" role="alert">
            {error}
          </p>
        )}
        {exchange === null ? (
          <p class="muted">Nothing has been sent yet.</p>
        ) : (
          <>
            <Preformatted label="Request" text={exchange.request} />
            <Preformatted label="Response" text={exchange.response} />
            {exchange.isCut ? (
              <p class="muted">Only the beginning is shown; a count makes the response shorter.</p>
            ) : null}
          </>
        )}
      </Card>
    </>
  );
}

function Summary({
  exchange,
  isAsking,
}: {
  readonly exchange: Exchange | null;
  readonly isAsking: boolean;
}): JSX.Element {
  const text =
    exchange === null
      ? ""
      : `${exchange.status}, ${formatBytes(exchange.bytes)}${exchange.isCut ? " read" : ""} in ${formatLatency(exchange.durationMs / 1000)}`;
  return (
    <span class="muted small" role="status">
      {isAsking ? "asking …" : text}
    </span>
  );
}
