import { RELATION_ATTRIBUTES } from "./constants.js";
import type { Attribute, Criterion, Link } from "./types.js";

/** Formats a criterion as the query item that `parseCriterion` reads. Pure. */
export function formatCriterion({ name, value, isPrefix }: Criterion): string {
  return `${name}=${value}${isPrefix ? "*" : ""}`;
}

/** Whether a value meets a criterion: equal by code points, or with the prefix. `null` counts as the empty value. Pure. */
export function matchesValue(criterion: Criterion, value: string | null): boolean {
  const text = value ?? "";
  return criterion.isPrefix ? text.startsWith(criterion.value) : text === criterion.value;
}

/**
 * Whether an attribute meets a criterion (RFC 9176 section 6.2, RFC 6690 section 4.1): a relation attribute by any one of its
 * values, any other by its whole value. Names compare exactly. Pure.
 */
export function criterionMatchesAttribute(criterion: Criterion, [name, value]: Attribute): boolean {
  return name === criterion.name && attributeMatches(criterion, value);
}

/** The same for the value of an attribute that has the name of the criterion. Pure. */
export function attributeMatches(criterion: Criterion, value: string | null): boolean {
  if (value === null || !RELATION_ATTRIBUTES.has(criterion.name) || !value.includes(" "))
    return matchesValue(criterion, value);
  return value.split(" ").some((one) => one !== "" && matchesValue(criterion, one));
}

/** Whether any attribute of the link meets a criterion. The target is not an attribute. Pure. */
export function criterionMatchesLink(criterion: Criterion, link: Link): boolean {
  for (const attribute of link.attributes) if (criterionMatchesAttribute(criterion, attribute)) return true;
  return false;
}

/**
 * Whether every link that meets `narrow` certainly meets `wide` (draft 6.2.1): they have the same name, and every value that
 * meets `narrow` meets `wide`. Holds for every attribute, because both are applied to the same single value. Pure.
 */
export function implies(narrow: Criterion, wide: Criterion): boolean {
  if (narrow.name !== wide.name) return false;
  if (wide.isPrefix) return narrow.value.startsWith(wide.value);
  return !narrow.isPrefix && narrow.value === wide.value;
}
