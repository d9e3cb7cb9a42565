import { parseCoapUri, type ServerRequest } from "@tributary/coap-transport";
import type { Criterion } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { pathReference } from "./paths.js";

const ORIGIN_AND_PATH = /^([^/?#]+:\/\/[^/?#]+)(\/.*)$/s;

/**
 * Read criteria that name a registration of this server by its full URI as the path that the directory knows it by, so
 * that both forms are recognised (RFC 9176 section 6.2, LKP-20). Resource targets are full URIs, so on the resource
 * interface `href` is touched only where the path is one of a registration resource.
 */
export function normaliseOwnCriteria(
  criteria: readonly Criterion[],
  context: {
    readonly kind: LookupInterface;
    readonly request: ServerRequest;
    readonly resourcePath: readonly string[];
  },
): readonly Criterion[] {
  const { scheme } = context.request;
  if (!criteria.some(({ name, value }) => isReference(name) && value.startsWith(`${scheme}://`))) return criteria;
  return criteria.map((criterion) => {
    const path = isReference(criterion.name) ? ownPath(criterion.value, context.request) : null;
    return path !== null && isRegistrationPath(path, criterion, context) ? { ...criterion, value: path } : criterion;
  });
}

function isReference(name: string): boolean {
  return name === "href" || name === "provenance";
}

/** The path of a URI of this server, else null. */
function ownPath(value: string, request: ServerRequest): string | null {
  const match = ORIGIN_AND_PATH.exec(value);
  if (match === null) return null;
  try {
    const { scheme, host, port } = parseCoapUri(match[1] as string);
    const isOwn =
      scheme === request.scheme && port === (request.uriPort ?? request.local.port) && isOwnHost(host, request);
    return isOwn ? (match[2] as string) : null;
  } catch {
    return null;
  }
}

/** The host that the client called (Uri-Host), or an address at which it reaches this server (RFC 7252 section 6.5). */
function isOwnHost(host: string, { uriHost, local }: ServerRequest): boolean {
  if (host === uriHost?.toLowerCase() || host === local.address.replace(/%.*$/, "")) return true;
  return local.isAlso?.(host) ?? false;
}

function isRegistrationPath(
  path: string,
  { name, isPrefix }: Criterion,
  { kind, resourcePath }: { readonly kind: LookupInterface; readonly resourcePath: readonly string[] },
): boolean {
  if (name === "provenance") return true;
  const above = `${pathReference(resourcePath)}/`;
  return path.startsWith(above) || (isPrefix && kind === "ep" && above.startsWith(path));
}
