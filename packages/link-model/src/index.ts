export { firstValue, lastValue, resourceTypesOf, valuesOf } from "./attributes.js";
export { RELATION_ATTRIBUTES } from "./constants.js";
export {
  attributeMatches,
  criterionMatchesAttribute,
  criterionMatchesLink,
  formatCriterion,
  implies,
  matchesValue,
} from "./criteria.js";
export type { LinkModelErrorCode } from "./errors.js";
export { LinkModelError } from "./errors.js";
export { parseLinkFormat } from "./link-format-reader.js";
export { serialiseLink, serialiseLinks, writeAttribute, writeTarget } from "./link-format-writer.js";
export { leastAttributeBytes, leastLinkBytes } from "./link-size.js";
export type { Linkset, LinksetContext, LinksetTarget, LinksetValue } from "./linkset.js";
export { toLinkset } from "./linkset.js";
export { exactItem, parseCriterion, parseLookupQuery } from "./lookup-query.js";
export { checkBase, checkLimitedLinkFormat, resolveLink } from "./registration-links.js";
export { parseLinkFormatTolerantly, readTolerantly } from "./tolerant-reader.js";
export type {
  Attribute,
  Criterion,
  Link,
  LinkFormatProblem,
  LookupQuery,
  ParseResult,
  QueryParseResult,
  TolerantParseResult,
} from "./types.js";
export type { UriComponents } from "./uri.js";
export { isAbsoluteUri, isPathAbsolute, originOf, resolveReference, splitUri } from "./uri.js";
export { checkIriReference, checkUriReference } from "./uri-grammar.js";
