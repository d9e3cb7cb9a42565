import type { ForwardingPeer, ForwardingSelf } from "./types.js";

/** Where a request is served. `peers`: by the first of them that responds; never empty. */
export type Route =
  | { readonly kind: "local" }
  | { readonly kind: "peers"; readonly peers: readonly ForwardingPeer[] }
  | { readonly kind: "unknown" };

/** Path segment before the name of the node in the paths of registrations. */
export const REGISTRATIONS_SEGMENT = "reg";

const LOCAL: Route = { kind: "local" };
const UNKNOWN: Route = { kind: "unknown" };

/** Returns the parent path of the registration resources of a node (draft 6.2.2: `/reg/rd-c/42`). Pure. */
export function registrationPathOf(name: string): readonly string[] {
  return [REGISTRATIONS_SEGMENT, name];
}

/** The forwarding rules of draft 6.2.2. All other requests are served by this node. Pure. */
export class RoutingTable {
  readonly #self: ForwardingSelf;
  readonly #byName: ReadonlyMap<string, Route>;
  readonly #registration: Route;
  readonly #lookup: Route;

  constructor(self: ForwardingSelf, peers: readonly ForwardingPeer[]) {
    this.#self = self;
    this.#byName = new Map(peers.map((peer) => [peer.name, { kind: "peers", peers: [peer] }]));
    this.#registration = closest(
      self.takesRegistrations,
      peers.filter((peer) => peer.takesRegistrations),
    );
    this.#lookup = closest(
      self.answersLookups,
      peers.filter((peer) => peer.answersLookups),
    );
  }

  /** "/rd is served from the local RD if there is one, or forwarded to any (the closest) RD". */
  registration(): Route {
    return this.#registration;
  }

  /** "Lookup requests are served from the local lookup proxy, or forwarded to the closest one on RD-only hosts". */
  lookup(): Route {
    return this.#lookup;
  }

  /** "/reg/* requests are served if hosted locally, otherwise forwarded to the appropriate RD". */
  registrationResource(path: readonly string[]): Route {
    const [above, name] = path;
    // In a URI a dot segment would leave the forwarded resources.
    if (above !== REGISTRATIONS_SEGMENT || name === undefined || path.some(isDotSegment)) return UNKNOWN;
    if (name === this.#self.name) return LOCAL;
    return this.#byName.get(name) ?? UNKNOWN;
  }
}

function closest(isServedHere: boolean, peers: readonly ForwardingPeer[]): Route {
  return isServedHere || peers.length === 0 ? LOCAL : { kind: "peers", peers };
}

function isDotSegment(segment: string): boolean {
  return segment === "." || segment === "..";
}
