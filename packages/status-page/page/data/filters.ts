/** One item of a query, for example `rt=light*`. */
export interface FilterItem {
  readonly name: string;
  readonly value: string;
}

/** What a filter text says, or what is wrong with it. */
export type Filter =
  | { readonly ok: true; readonly items: readonly FilterItem[] }
  | { readonly ok: false; readonly problem: string };

/** Set by the page itself. */
const RESERVED = ["page", "count"];

/**
 * Parses what was typed as a filter: items such as `ep=lamp* rt=light`, between spaces or `&`; values with spaces in quotation marks. A word
 * alone is the beginning of an endpoint name. Pure.
 */
export function parseFilter(text: string): Filter {
  const items: FilterItem[] = [];
  for (const [token] of text.matchAll(/(?:[^\s&"]|"[^"]*"?)+/g)) {
    const at = token.indexOf("=");
    const name = at === -1 ? "ep" : token.slice(0, at);
    const value = token.slice(at + 1).replaceAll('"', "");
    if (name === "") return { ok: false, problem: `“${token}” has no name before its equals sign` };
    if (RESERVED.includes(name)) return { ok: false, problem: `${name} is set by the buttons below the results` };
    if ((token.split('"').length - 1) % 2 === 1)
      return { ok: false, problem: `“${token}” has only one quotation mark` };
    items.push({ name, value: at === -1 && !value.endsWith("*") ? `${value}*` : value });
  }
  return { ok: true, items };
}

/** A query with percent-encoding, without question mark. A plus sign is one, and a space is `%20` (RFC 7252 section 6.4). Pure. */
export function formatQuery(items: readonly FilterItem[]): string {
  return items.map(({ name, value }) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
}
