/** Components of a URI reference (RFC 3986 section 3); undefined: absent, "": present and empty. */
export interface UriComponents {
  readonly scheme: string | undefined;
  readonly authority: string | undefined;
  readonly path: string;
  readonly query: string | undefined;
  readonly fragment: string | undefined;
}

/** Splits a URI reference as in RFC 3986 appendix B. The scheme must follow its grammar: `a:b/c` is absolute, `/a:b` is not. Pure. */
export function splitUri(reference: string): UriComponents {
  const colon = schemeLength(reference);
  const scheme = colon < 0 ? undefined : reference.slice(0, colon);
  const start = colon + 1;
  const authorityEnd = endOfAuthority(reference, start);
  const authority = authorityEnd < 0 ? undefined : reference.slice(start + 2, authorityEnd);
  const pathStart = authorityEnd < 0 ? start : authorityEnd;
  const hash = reference.indexOf("#", pathStart);
  const fragment = hash < 0 ? undefined : reference.slice(hash + 1);
  const queryEnd = hash < 0 ? reference.length : hash;
  const mark = reference.indexOf("?", pathStart);
  const hasQuery = mark >= 0 && mark < queryEnd;
  const path = reference.slice(pathStart, hasQuery ? mark : queryEnd);
  return { scheme, authority, path, query: hasQuery ? reference.slice(mark + 1, queryEnd) : undefined, fragment };
}

/** Length of the scheme at the start of `text` without its colon; -1 without a scheme. */
function schemeLength(text: string): number {
  for (let at = 0; ; at++) {
    const code = text.charCodeAt(at);
    if (isLetter(code)) continue;
    if (at === 0) return -1;
    if (code === COLON) return at;
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && code !== PLUS && code !== HYPHEN && code !== DOT) return -1;
  }
}

/** End of the authority that begins with two slashes at `start`; -1 without an authority. */
function endOfAuthority(text: string, start: number): number {
  if (text.charCodeAt(start) !== SLASH || text.charCodeAt(start + 1) !== SLASH) return -1;
  let at = start + 2;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === SLASH || code === QUESTION_MARK || code === HASH) break;
  }
  return at;
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a && code < 0x80;
}

const COLON = 0x3a;
const PLUS = 0x2b;
const HYPHEN = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const HASH = 0x23;

/** Whether `text` has a scheme (RFC 3986 section 4.3, fragment allowed). Pure. */
export function isAbsoluteUri(text: string): boolean {
  return schemeLength(text) > 0;
}

/** Whether `text` is an absolute-path reference (RFC 3986 section 4.2), that is, begins with exactly one slash. Pure. */
export function isPathAbsolute(text: string): boolean {
  return text.charCodeAt(0) === 0x2f && text.charCodeAt(1) !== 0x2f;
}

/** Returns `scheme://authority` of an absolute URI as written; undefined without an authority. Pure. */
export function originOf(uri: string): string | undefined {
  const colon = schemeLength(uri);
  const end = colon < 0 ? -1 : endOfAuthority(uri, colon + 1);
  return end < 0 ? undefined : uri.slice(0, end);
}

/** Resolves a URI reference against an absolute base (RFC 3986 section 5.2, strict). Pure. */
export function resolveReference(base: string, reference: string): string {
  // Fast path: no dot segment is possible.
  if (isPathAbsolute(reference) && !reference.includes("/.")) {
    const origin = originOf(base);
    if (origin !== undefined) return origin + reference;
  }
  return recompose(transform(splitUri(base), splitUri(reference)));
}

/** RFC 3986 section 5.2.2. */
function transform(base: UriComponents, reference: UriComponents): UriComponents {
  const { fragment } = reference;
  if (reference.scheme !== undefined) return { ...reference, path: removeDotSegments(reference.path) };
  const { scheme } = base;
  if (reference.authority !== undefined) return { ...reference, scheme, path: removeDotSegments(reference.path) };
  const { authority } = base;
  if (reference.path === "")
    return { scheme, authority, path: base.path, query: reference.query ?? base.query, fragment };
  const path = reference.path.startsWith("/") ? reference.path : mergePaths(base, reference.path);
  return { scheme, authority, path: removeDotSegments(path), query: reference.query, fragment };
}

/** RFC 3986 section 5.2.3. */
function mergePaths(base: UriComponents, path: string): string {
  if (base.authority !== undefined && base.path === "") return `/${path}`;
  return base.path.slice(0, base.path.lastIndexOf("/") + 1) + path;
}

/** RFC 3986 section 5.2.4, in linear time. */
function removeDotSegments(path: string): string {
  if (!path.includes(".")) return path;
  const isAbsolute = path.startsWith("/");
  const segments = (isAbsolute ? path.slice(1) : path).split("/");
  const output: string[] = [];
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment !== "." && segment !== "..") {
      output.push(segment);
      return;
    }
    if (segment === "..") output.pop();
    // A trailing dot segment leaves a trailing slash.
    if (isLast) output.push("");
  });
  return (isAbsolute ? "/" : "") + output.join("/");
}

/** RFC 3986 section 5.3. */
function recompose({ scheme, authority, path, query, fragment }: UriComponents): string {
  let uri = scheme === undefined ? "" : `${scheme}:`;
  if (authority !== undefined) uri += `//${authority}`;
  uri += path;
  if (query !== undefined) uri += `?${query}`;
  return fragment === undefined ? uri : `${uri}#${fragment}`;
}
