/** What the page reads of the JSON at `/api`. Members that may be absent are those of the node's API. */
export interface NodeView {
  readonly name: string;
  readonly version: string;
  readonly listen: readonly string[];
  readonly roles: readonly ("rd" | "lp")[];
  readonly uptime: number;
  readonly registrations: {
    readonly visible: number;
    readonly superseded: number;
    readonly stale: number;
    readonly total: number;
  };
  readonly digest: string;
  readonly damage?: Readonly<
    Record<
      string,
      { readonly problem: string; readonly kept: number; readonly leftOut?: number; readonly setAside: string }
    >
  >;
  readonly proxied?: { readonly endpoints: number; readonly away: number };
  readonly memory: {
    readonly limit?: number;
    readonly used: number;
    readonly sources: readonly { readonly name: string; readonly used: number; readonly guaranteed: number }[];
    readonly onDisk: number;
  };
  readonly store?: { readonly up: boolean; readonly away?: string; readonly position: number; readonly lag: number };
  readonly followers?: {
    readonly count: number;
    readonly list: readonly {
      readonly peer: string;
      readonly transport: string;
      readonly name?: string;
      readonly current: boolean;
    }[];
  };
  readonly peers?: readonly { readonly name: string; readonly uri: string; readonly up: boolean }[];
}

/** An upstream of `/api/upstreams`. */
export interface UpstreamView {
  readonly name: string;
  readonly uri: string;
  readonly mode: string;
  readonly tier: boolean;
  readonly phase: string;
  readonly method: string;
  readonly transport?: string;
  readonly complete: boolean;
  readonly tried: boolean;
  readonly coverage: readonly string[];
  readonly families?: readonly {
    readonly filter: string;
    readonly phase: string;
    readonly complete: boolean;
    readonly registrations: number;
    readonly idle: number;
  }[];
  readonly registrations: number;
  readonly leftOut: Readonly<Record<string, number>>;
  readonly lastChangeAge?: number;
  readonly lastContactAge?: number;
  readonly lag?: number;
  readonly feedBytes: number;
  readonly attempts: number;
  readonly error?: string;
  readonly capabilities: Readonly<Record<string, unknown>> & { readonly remarks: readonly string[] };
}

/** A record of `/api/registrations`. */
export interface RegistrationView {
  readonly source: string;
  readonly href: string;
  readonly ep: string;
  readonly d?: string;
  readonly base: string;
  readonly state: "visible" | "superseded" | "stale";
  readonly stale: boolean;
  readonly renewed: string;
  readonly age: number;
  readonly lt?: number;
  readonly expiresIn: number;
  readonly expiry: string;
  readonly links: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** An event of `/api/events`. */
export interface EventView {
  readonly id: number;
  readonly at: string;
  readonly kind: string;
  readonly ep?: string;
  readonly d?: string;
  readonly source?: string;
  readonly href?: string;
  readonly before?: { readonly source: string; readonly href: string };
}

/** `/api/why`. */
export interface Explanation {
  readonly ep: string;
  readonly d?: string;
  readonly registrations: readonly (RegistrationView & { readonly reason: string })[];
  readonly upstreams: readonly {
    readonly name: string;
    readonly uri: string;
    readonly phase: string;
    readonly has: boolean;
    readonly reason: string;
  }[];
  readonly events: readonly EventView[];
}

/** A link of a lookup in JSON. */
export interface LinkView {
  readonly target: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** `/api/stale`: registrations of sources that are not reached. */
export interface StaleView {
  readonly sources: readonly {
    readonly source: string;
    readonly registrations: number;
    readonly firstEnd: number;
    readonly lastEnd: number;
  }[];
  readonly next: readonly {
    readonly source: string;
    readonly ep: string;
    readonly d?: string;
    readonly expiresIn: number;
    readonly expiry: string;
  }[];
}
