import { useEffect, useState } from "preact/hooks";

/** The views of the page, in the order of its navigation. */
export const VIEWS = [
  { id: "overview", title: "Overview" },
  { id: "search", title: "Search" },
  { id: "events", title: "Events" },
  { id: "console", title: "Console" },
  { id: "charts", title: "Charts" },
] as const;

/** A view of the page. */
export type ViewId = (typeof VIEWS)[number]["id"];

/** Where the page is: a view and what it shows. It is in the fragment, so that it can be linked to and gone back to. */
export interface Route {
  readonly view: ViewId;
  readonly query: URLSearchParams;
}

/** Parses a fragment such as `#/search?kind=res`. Pure. */
export function parseRoute(fragment: string): Route {
  const [path = "", search = ""] = fragment.replace(/^#\/?/, "").split(/\?(.*)/s);
  const view = VIEWS.find(({ id }) => id === path)?.id ?? "overview";
  return { view, query: new URLSearchParams(search) };
}

/** The fragment of a view with what it shows; empty values are left out. Pure. */
export function formatRoute(view: ViewId, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  return `#/${view}${search === "" ? "" : `?${search}`}`;
}

/** Where the page is; the component is rendered when that changes. */
export function useRoute(): Route {
  const [route, setRoute] = useState(parseRoute(location.hash));
  useEffect(() => {
    const onChange = (): void => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  return route;
}
