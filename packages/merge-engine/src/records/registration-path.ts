const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/** The path of a registration resource, without the authority by which its RD is reached. Pure. */
export function pathOf(href: string): string {
  return href.replace(AUTHORITY, "");
}
