/** One link attribute in document order. `null` is an attribute without `=`; `""` is an empty quoted value. */
export type Attribute = readonly [name: string, value: string | null];

/** One web link (RFC 8288, RFC 6690 section 2). `target` is the URI reference exactly as written between `<` and `>`. */
export interface Link {
  readonly target: string;
  readonly attributes: readonly Attribute[];
}

/** A problem of a link-format document, with its position. */
export interface LinkFormatProblem {
  /** Stable reason, e.g. `unclosed-target`, `expected-separator`, `empty-value`, `control-char`, `invalid-utf8`. */
  readonly reason: string;
  /** Offset of the first offending character in UTF-16 units, or of the first offending byte for `invalid-utf8`. */
  readonly offset: number;
  /** A sentence for a diagnostic payload. */
  readonly message: string;
}

/** The links of a document, or the first error in it. */
export type ParseResult =
  | { readonly ok: true; readonly links: Link[] }
  | { readonly ok: false; readonly error: LinkFormatProblem };

/** Result of a tolerant read: every unambiguous link, and what was left out. */
export interface TolerantParseResult {
  readonly links: Link[];
  readonly problems: LinkFormatProblem[];
  /** Pieces of the document that are not links. */
  readonly leftOut: number;
  /** Whether the document ends within a target or a quoted value, so that the rest is unknown. */
  readonly isTruncated: boolean;
}

/**
 * A criterion of a lookup (RFC 9176 section 6.2). With `isPrefix`, `value` is without the star. A bare name (`obs`) has the
 * `value` `""`: it matches an attribute without a value or with an empty one.
 */
export interface Criterion {
  readonly name: string;
  readonly value: string;
  readonly isPrefix: boolean;
}

/** A parsed lookup query: the criteria in their order, paging, and whether links get `provenance` (draft 5.1). */
export interface LookupQuery {
  readonly criteria: readonly Criterion[];
  readonly page?: number;
  readonly count?: number;
  readonly showProvenance: boolean;
}

/** A parsed lookup query, or the reason why it is malformed. */
export type QueryParseResult =
  | { readonly ok: true; readonly query: LookupQuery }
  | { readonly ok: false; readonly message: string };
