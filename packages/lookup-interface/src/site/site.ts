import {
  CODE,
  errorResponse,
  METHOD,
  meetsPrecondition,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import { pathReference } from "../paths.js";
import type { SiteOptions, SiteResource } from "../types.js";
import { createWellKnownCore } from "./well-known-core.js";

/** One path segment of the site, with what is served there. */
interface Branch {
  readonly branches: Map<string, Branch>;
  exact?: SiteResource;
  subtree?: SiteResource;
}

/** Characters of a path shown in a diagnostic. */
const MAX_SHOWN_PATH = 64;

/**
 * All resources of a node behind one handler: the exact path first, else the deepest subtree, else 4.04.
 * `/.well-known/core` lists them (RFC 6690), unless `resources` has one of its own.
 */
export function createSite(resources: readonly SiteResource[], options: SiteOptions = {}): RequestHandler {
  const root: Branch = { branches: new Map() };
  const wellKnown: SiteResource = { path: [".well-known", "core"], handle: createWellKnownCore(resources, options) };
  for (const resource of [wellKnown, ...resources]) {
    const branch = grow(root, resource.path);
    branch.exact = resource;
    if (resource.isSubtree) branch.subtree = resource;
  }
  const handle = (request: ServerRequest) => {
    const resource = find(root, request.path);
    if (resource === undefined) return notFound(request);
    return (request.precondition === undefined ? null : unmetCondition(resource, request)) ?? resource.handle(request);
  };
  return Object.assign(handle, { evaluatesPreconditions: true });
}

/** Refusal of a request whose condition is not met; nothing that changes has an entity-tag. */
function unmetCondition({ exists }: SiteResource, request: ServerRequest): ServerResponse | null {
  const { method, precondition } = request;
  // What a safe request finds is compared by the transport.
  if (precondition === undefined || method === METHOD.GET || method === METHOD.FETCH) return null;
  const found = exists?.(request) ?? true;
  if (found === "elsewhere" || meetsPrecondition(precondition, { exists: found })) return null;
  return errorResponse(CODE.PRECONDITION_FAILED, "the condition is not met");
}

function grow(root: Branch, path: readonly string[]): Branch {
  let branch = root;
  for (const segment of path) {
    let next = branch.branches.get(segment);
    if (next === undefined) {
      next = { branches: new Map() };
      branch.branches.set(segment, next);
    }
    branch = next;
  }
  return branch;
}

function find(root: Branch, path: readonly string[]): SiteResource | undefined {
  let branch: Branch | undefined = root;
  let subtree = root.subtree;
  for (const segment of path) {
    branch = branch?.branches.get(segment);
    if (branch === undefined) return subtree;
    subtree = branch.subtree ?? subtree;
  }
  return branch?.exact ?? subtree;
}

function notFound({ path, method }: ServerRequest) {
  const shown = pathReference(path);
  const text = shown.length > MAX_SHOWN_PATH ? `${shown.slice(0, MAX_SHOWN_PATH)}…` : shown;
  return errorResponse(
    CODE.NOT_FOUND,
    method === METHOD.GET ? `nothing at ${text}, see /.well-known/core` : `nothing at ${text}`,
  );
}
