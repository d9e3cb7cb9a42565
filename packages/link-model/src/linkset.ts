import { firstValue } from "./attributes.js";
import type { Attribute, Link } from "./types.js";
import { originOf, resolveReference } from "./uri.js";

/** A target attribute in linkset+json: a string, or an array of strings or of language-tagged values. */
export type LinksetValue = string | readonly (string | { readonly value: string; readonly language?: string })[];
/** One target object: `href` and the target attributes of a link. */
export type LinksetTarget = { readonly href: string } & Readonly<Record<string, LinksetValue>>;
/** One link context object: `anchor`, and an array of targets by relation type. */
export type LinksetContext = Readonly<Record<string, string | readonly LinksetTarget[]>>;
/** A linkset in its JSON form (RFC 9264 section 4.2). */
export interface Linkset {
  readonly linkset: readonly LinksetContext[];
}

/** Attributes whose value is a single string (RFC 9264 section 4.2.4.1). */
const SINGLE: ReadonlySet<string> = new Set(["type", "media", "title"]);

/**
 * Converts links to `application/linkset+json` (RFC 9264 section 4.2). The link context is explicit: the anchor, else the origin
 * of the target (RFC 6690 section 2.1), else `contextBase`. A link without `rel` has the relation `hosts` (RFC 6690 section 2.2).
 * Pure.
 */
export function toLinkset(links: Iterable<Link>, contextBase = ""): Linkset {
  const contexts = new Map<string, Map<string, LinksetTarget[]>>();
  for (const link of links) {
    const anchor = firstValue(link, "anchor") ?? originContext(link.target) ?? contextBase;
    const relations = contexts.get(anchor) ?? new Map<string, LinksetTarget[]>();
    contexts.set(anchor, relations);
    const target = linksetTarget(link);
    for (const relation of relationTypes(link)) {
      const targets = relations.get(relation);
      if (targets === undefined) relations.set(relation, [target]);
      else targets.push(target);
    }
  }
  return {
    linkset: [...contexts].map(([anchor, relations]) => Object.fromEntries([["anchor", anchor], ...relations])),
  };
}

function originContext(target: string): string | undefined {
  return originOf(target) === undefined ? undefined : resolveReference(target, "/");
}

function relationTypes(link: Link): string[] {
  // A relation type `anchor` would collide with the member of that name (RFC 9264 section 4.2.3).
  const types = (firstValue(link, "rel") ?? "").split(" ").filter((type) => type !== "" && type !== "anchor");
  return types.length === 0 ? ["hosts"] : types;
}

function linksetTarget(link: Link): LinksetTarget {
  const members: [string, LinksetValue][] = [];
  const seen = new Map<string, number>();
  for (const attribute of link.attributes) {
    const [name] = attribute;
    if (name === "anchor" || name === "rel" || name === "href") continue;
    const index = seen.get(name);
    if (index === undefined) {
      seen.set(name, members.length);
      members.push([name, initialValue(attribute)]);
    } else if (!SINGLE.has(name) && !name.endsWith("*")) {
      const member = members[index] as [string, LinksetValue];
      member[1] = [...member[1], attribute[1] ?? ""];
    }
  }
  return Object.fromEntries([["href", link.target], ...members]) as LinksetTarget;
}

function initialValue([name, value]: Attribute): LinksetValue {
  if (name.endsWith("*")) return [decodeExtendedValue(value ?? "")];
  return SINGLE.has(name) ? (value ?? "") : [value ?? ""];
}

/** Decodes `charset'language'percent-encoded` (RFC 8187 section 3.2). Other text is returned unchanged. */
function decodeExtendedValue(text: string): { value: string; language?: string } {
  const match = /^utf-8'([A-Za-z0-9-]*)'(.*)$/i.exec(text);
  if (match === null) return { value: text };
  let value: string;
  try {
    value = decodeURIComponent(match[2] as string);
  } catch {
    return { value: text };
  }
  return match[1] === "" ? { value } : { value, language: match[1] as string };
}
