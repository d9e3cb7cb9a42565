import { fetchNode } from "./fetch-json.ts";
import { type FilterItem, formatQuery } from "./filters.ts";
import type { LinkView } from "./types.ts";

/** A page of a lookup. */
export interface LookupPage {
  readonly links: readonly LinkView[];
  readonly hasNext: boolean;
  /** Names of upstreams whose part is missing. */
  readonly missing: readonly string[];
}

/** Links of one page. */
export const PAGE_SIZE = 50;

/** Looks up one page of endpoints or resources. Rejects with an error that says why, in words. */
export async function lookUp(
  kind: "ep" | "res",
  items: readonly FilterItem[],
  page: number,
  signal: AbortSignal,
): Promise<LookupPage> {
  const paging = [
    { name: "page", value: String(page) },
    { name: "count", value: String(PAGE_SIZE) },
  ];
  const response = await fetchNode(
    `rd-lookup/${kind}?${formatQuery([...items, ...paging])}`,
    { accept: "application/json" },
    signal,
  );
  const value: unknown = await response.json();
  if (!response.ok)
    throw new Error((value as { error?: string }).error ?? `the node responded with ${response.status}`);
  return {
    links: value as LinkView[],
    hasNext: response.headers.get("link")?.includes('rel="next"') === true,
    missing: parseStrings(response.headers.get("tributary-partial") ?? ""),
  };
}

/** The strings of a list (RFC 9651 sections 3.1 and 3.3.3). */
function parseStrings(field: string): string[] {
  return [...field.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => text.replace(/\\(.)/g, "$1"));
}

/** An attribute as text; undefined: the link does not have it. Pure. */
export function attributeOf({ attributes }: LinkView, name: string): string | undefined {
  if (!Object.hasOwn(attributes, name)) return undefined;
  return textOf(attributes[name]);
}

/** All attributes but some, as `name=value`. Pure. */
export function otherAttributes({ attributes }: LinkView, known: readonly string[]): string[] {
  return Object.entries(attributes)
    .filter(([name]) => !known.includes(name))
    .map(([name, value]) => (value === true || value === null ? name : `${name}=${textOf(value)}`));
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value);
}
