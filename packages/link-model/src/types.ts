/** One link attribute in document order. `null` is an attribute without `=`; `""` is an empty quoted value. */
export type Attribute = readonly [name: string, value: string | null];

/** One web link (RFC 8288, RFC 6690 section 2). `target` is the URI reference exactly as written between `<` and `>`. */
export interface Link {
  readonly target: string;
  readonly attributes: readonly Attribute[];
}

/** Why a link-format document cannot be read, and where. */
export interface LinkFormatProblem {
  /** Stable reason, e.g. `unclosed-target`, `expected-separator`, `empty-value`, `control-char`, `invalid-utf8`. */
  readonly reason: string;
  /** Offset of the first offending character (UTF-16 units) or byte when the input was bytes that are not UTF-8. */
  readonly offset: number;
  /** A sentence for a diagnostic payload. */
  readonly message: string;
}

export type ParseResult =
  | { readonly ok: true; readonly links: Link[] }
  | { readonly ok: false; readonly error: LinkFormatProblem };

/** What a tolerant read found: every unambiguous link, and what was left out. */
export interface TolerantParseResult {
  readonly links: Link[];
  readonly problems: LinkFormatProblem[];
  /** Pieces of the document that are no links. */
  readonly leftOut: number;
  /** The document ends within a target or a quoted value: whatever followed is not known. */
  readonly isTruncated: boolean;
}

/**
 * One criterion of a lookup (RFC 9176 section 6.2). `value` has the operator star removed when `isPrefix`.
 * A bare name (`obs`) is `value: ""`, `isPrefix: false`: it matches an attribute without value or with an empty one.
 */
export interface Criterion {
  readonly name: string;
  readonly value: string;
  readonly isPrefix: boolean;
}

/** A parsed lookup query: the criteria in their order, paging, and whether links shall carry `provenance` (draft 5.1). */
export interface LookupQuery {
  readonly criteria: readonly Criterion[];
  readonly page?: number;
  readonly count?: number;
  readonly showProvenance: boolean;
}

export type QueryParseResult =
  | { readonly ok: true; readonly query: LookupQuery }
  | { readonly ok: false; readonly message: string };
