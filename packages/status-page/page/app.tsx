import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { formatDuration } from "./data/format.ts";
import { type Live, type LiveState, useLive } from "./data/live.ts";
import { formatRoute, type Route, useRoute, VIEWS, type ViewId } from "./data/route.ts";
import { Announcer } from "./parts/announcer.tsx";
import { Name } from "./parts/name.tsx";
import { Status } from "./parts/status.tsx";
import { Charts } from "./views/charts.tsx";
import { Console } from "./views/console.tsx";
import { Events } from "./views/events.tsx";
import { Overview } from "./views/overview.tsx";
import { Search } from "./views/search.tsx";

/** The page: header, navigation, and the view that the fragment of the address names. */
export function App({ live }: { readonly live: Live }): JSX.Element {
  const state = useLive(live);
  const route = useRoute();
  useEffect(() => live.start(), [live]);
  const heading = useFocusOnChange(route.view);
  const title = VIEWS.find(({ id }) => id === route.view)?.title ?? "";
  const name = state.reading?.node.name ?? "Tributary";
  useEffect(() => {
    document.title = `${title} · ${name}`;
  }, [title, name]);
  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        Skip to content
      </button>
      <Header state={state} view={route.view} />
      <main id="content">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {state.error === null ? null : (
          <p class="banner bad" role="alert">
            The node is not reached ({state.error}). What is shown is the last that was known; this page keeps trying.
          </p>
        )}
        {state.reading === null ? <p class="muted">Reading the node …</p> : <View route={route} state={state} />}
      </main>
      <Announcer state={state} />
    </>
  );
}

function View({ route, state }: { readonly route: Route; readonly state: LiveState }): JSX.Element | null {
  switch (route.view) {
    case "overview":
      return <Overview state={state} />;
    case "search":
      return <Search state={state} query={route.query} />;
    case "events":
      return <Events state={state} />;
    case "console":
      return <Console state={state} query={route.query} />;
    case "charts":
      return <Charts state={state} />;
    default:
      return route.view satisfies never;
  }
}

function Header({ state, view }: { readonly state: LiveState; readonly view: ViewId }): JSX.Element {
  const node = state.reading?.node;
  return (
    <header class="top">
      <div class="top-row">
        <img src="./status-page/app.svg" alt="" width="32" height="32" />
        <div class="identity">
          <span class="node-name">{node === undefined ? "Tributary" : <Name text={node.name} />}</span>
          {node === undefined ? null : (
            <span class="muted small">
              {node.roles.map((role) => (role === "rd" ? "resource directory" : "lookup proxy")).join(" and ")} ·
              version {node.version} · up for {formatDuration(node.uptime)}
            </span>
          )}
        </div>
        <Readiness state={state} />
      </div>
      <nav aria-label="Views">
        <ul>
          {VIEWS.map(({ id, title }) => (
            <li key={id}>
              <a href={formatRoute(id)} aria-current={id === view ? "page" : undefined}>
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
    </header>
  );
}

function Readiness({ state }: { readonly state: LiveState }): JSX.Element | null {
  if (state.error !== null) return <Status kind="bad">not reached</Status>;
  if (state.reading === null) return null;
  return state.isReady ? <Status kind="good">ready</Status> : <Status kind="warn">not ready</Status>;
}

/** The heading gets the focus when another view is shown, so that a screen reader says which one. */
function useFocusOnChange(view: ViewId) {
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = useRef(view);
  useEffect(() => {
    if (shown.current === view) return;
    shown.current = view;
    heading.current?.focus();
  }, [view]);
  return heading;
}
