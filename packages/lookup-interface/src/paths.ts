/** The absolute-path reference of decoded path segments (RFC 7252 section 6.5). Pure. */
export function pathReference(segments: readonly string[]): string {
  return `/${segments.map(encodeSegment).join("/")}`;
}

/** What RFC 3986 allows in a segment stays readable. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/%(?:3A|40|24|26|2B|2C|3B|3D)/g, decodeURIComponent);
}
