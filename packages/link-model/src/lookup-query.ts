import { MAX_QUERY_ITEM_LENGTH, MAX_QUERY_ITEMS } from "./constants.js";
import type { Criterion, LookupQuery, QueryParseResult } from "./types.js";

/** Parses a query item as a criterion (RFC 9176 section 6.2): a star at the end is the operator, any other is literal. Pure. */
export function parseCriterion(item: string): Criterion {
  const equals = item.indexOf("=");
  if (equals < 0) return { name: item, value: "", isPrefix: false };
  const name = item.slice(0, equals);
  const isPrefix = item.endsWith("*");
  return { name, value: item.slice(equals + 1, isPrefix ? -1 : undefined), isPrefix };
}

/**
 * Returns the query item that matches exactly this value, or undefined when there is none: a star at the end would be the
 * operator (RFC 6690 section 4.1), and a Uri-Query option has at most 255 bytes (RFC 7252 section 5.10). Pure.
 */
export function exactItem(name: string, value: string): string | undefined {
  const item = `${name}=${value}`;
  const isExact = !item.endsWith("*") && new TextEncoder().encode(item).length <= MAX_QUERY_ITEM_LENGTH;
  return isExact ? item : undefined;
}

/**
 * Parses a lookup query (RFC 9176 section 6.2) from decoded Uri-Query items, whose order does not matter. `page` and `count` are
 * paging, never criteria. `provenance` requests that attribute, and filters when it has a value (draft 5.1). Pure.
 */
export function parseLookupQuery(items: readonly string[]): QueryParseResult {
  if (items.length > MAX_QUERY_ITEMS) return refuse(`more than ${MAX_QUERY_ITEMS} query items`);
  const criteria: Criterion[] = [];
  const paging: { page?: number; count?: number } = {};
  let showProvenance = false;
  for (const item of items) {
    if (item.length > MAX_QUERY_ITEM_LENGTH)
      return refuse(`a query item is longer than ${MAX_QUERY_ITEM_LENGTH} bytes`);
    if (item === "") continue;
    const criterion = parseCriterion(item);
    if (criterion.name === "page" || criterion.name === "count") {
      const problem = readPaging(criterion.name, item.slice(criterion.name.length + 1), paging);
      if (problem !== undefined) return refuse(problem);
      continue;
    }
    if (criterion.name === "provenance") showProvenance = true;
    if (item !== "provenance") criteria.push(criterion);
  }
  if (paging.page !== undefined && paging.count === undefined) return refuse("page needs count");
  const query: LookupQuery = { criteria, ...paging, showProvenance };
  return { ok: true, query };
}

function readPaging(
  name: "page" | "count",
  text: string,
  paging: { page?: number; count?: number },
): string | undefined {
  if (paging[name] !== undefined) return `${name} is given twice`;
  if (!/^[0-9]{1,10}$/.test(text)) return `${name} is not a whole number: ${name}=${text}`;
  paging[name] = Number(text);
  return undefined;
}

function refuse(message: string): QueryParseResult {
  return { ok: false, message };
}
