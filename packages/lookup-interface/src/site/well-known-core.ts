import { CODE, CONTENT_FORMAT, errorResponse, METHOD, type RequestHandler } from "@tributary/coap-transport";
import { type Criterion, criterionMatchesLink, type Link, matchesValue, parseCriterion } from "@tributary/link-model";
import { MAX_BODY_BYTES } from "../constants.js";
import { createBodyWriter } from "../lookup-rendering.js";
import { pathReference } from "../paths.js";
import type { SiteOptions, SiteResource } from "../types.js";

/** `/.well-known/core` (RFC 6690 section 4): own resources first, as path-absolute links, then the configured ones. */
export function createWellKnownCore(resources: readonly SiteResource[], options: SiteOptions): RequestHandler {
  const links: readonly Link[] = [...ownLinks(resources), ...(options.advertise ?? [])];
  const writer = createBodyWriter({ linksetFormat: options.linksetFormat, seed: 0 });
  return ({ method, accept, query }) => {
    if (method !== METHOD.GET) return errorResponse(CODE.METHOD_NOT_ALLOWED, "/.well-known/core takes GET");
    const format = writer.negotiate(accept);
    if (format === null) return errorResponse(CODE.NOT_ACCEPTABLE, writer.offer);
    const criteria = query.filter((item) => item !== "").map(parseCriterion);
    const { payload, etag } = writer.write(
      links.filter((link) => criteria.every((criterion) => matches(criterion, link))),
      format,
      MAX_BODY_BYTES,
    );
    return { code: CODE.CONTENT, contentFormat: format ?? CONTENT_FORMAT.LINK_FORMAT, etag, payload };
  };
}

function* ownLinks(resources: readonly SiteResource[]): Generator<Link> {
  for (const { path, attributes } of resources) {
    if (attributes !== undefined) yield { target: pathReference(path), attributes };
  }
}

/** RFC 6690 section 4.1: any attribute, or the target by `href`. */
function matches(criterion: Criterion, link: Link): boolean {
  if (criterion.name === "href" && matchesValue(criterion, link.target)) return true;
  return criterionMatchesLink(criterion, link);
}
