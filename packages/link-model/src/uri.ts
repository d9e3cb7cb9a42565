/** Components of a URI reference (RFC 3986 section 3); undefined: not there, "": there and empty. */
export interface UriComponents {
  readonly scheme: string | undefined;
  readonly authority: string | undefined;
  readonly path: string;
  readonly query: string | undefined;
  readonly fragment: string | undefined;
}

/** RFC 3986 appendix B, with the scheme held to its grammar so that `a:b/c` is absolute and `/a:b` is not. */
const REFERENCE = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#([\s\S]*))?$/;

/** Split a URI reference. Pure. */
export function splitUri(reference: string): UriComponents {
  const match = REFERENCE.exec(reference);
  return { scheme: match?.[1], authority: match?.[2], path: match?.[3] ?? "", query: match?.[4], fragment: match?.[5] };
}

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/** Whether `text` has a scheme (RFC 3986 section 4.3, fragment allowed). Pure. */
export function isAbsoluteUri(text: string): boolean {
  return SCHEME.test(text);
}

/** Whether `text` is an absolute-path reference (RFC 3986 section 4.2): one slash, not two. Pure. */
export function isPathAbsolute(text: string): boolean {
  return text.charCodeAt(0) === 0x2f && text.charCodeAt(1) !== 0x2f;
}

/** `scheme://authority` of an absolute URI, as written; undefined when there is no authority. Pure. */
export function originOf(uri: string): string | undefined {
  const { scheme, authority } = splitUri(uri);
  return scheme === undefined || authority === undefined ? undefined : `${scheme}://${authority}`;
}

/** Resolve a URI reference against an absolute base (RFC 3986 section 5.2, strict). Pure. */
export function resolveReference(base: string, reference: string): string {
  if (isPathAbsolute(reference) && !MAY_HAVE_DOTS.test(reference)) {
    const origin = originOf(base);
    if (origin !== undefined) return origin + reference;
  }
  return recompose(transform(splitUri(base), splitUri(reference)));
}

/** Anything that could be a dot segment; a false alarm only costs the long way. */
const MAY_HAVE_DOTS = /\/\./;

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
  const kept: string[] = [];
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment !== "." && segment !== "..") {
      kept.push(segment);
      return;
    }
    if (segment === "..") kept.pop();
    // A dot segment at the end leaves its directory, with the slash.
    if (isLast) kept.push("");
  });
  return (isAbsolute ? "/" : "") + kept.join("/");
}

/** RFC 3986 section 5.3. */
function recompose({ scheme, authority, path, query, fragment }: UriComponents): string {
  let uri = scheme === undefined ? "" : `${scheme}:`;
  if (authority !== undefined) uri += `//${authority}`;
  uri += path;
  if (query !== undefined) uri += `?${query}`;
  return fragment === undefined ? uri : `${uri}#${fragment}`;
}
