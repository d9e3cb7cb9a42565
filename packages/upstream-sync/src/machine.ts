import { FIRST_RETRY_MS, LONGEST_RETRY_MS, LONGEST_SILENCE_RETRY_MS, REFUSED_RETRY_MS } from "./constants.js";
import type { Discovered } from "./discovery/discovery.js";
import type { UpstreamError } from "./errors.js";

/** Where one upstream stands. Fields exist only in the phase that has them. */
export type UpstreamState =
  | { readonly kind: "idle" }
  | { readonly kind: "discovering"; readonly attempt: number; readonly refusal?: string }
  | { readonly kind: "probing"; readonly attempt: number; readonly found: Discovered }
  | { readonly kind: "copying"; readonly attempt: number; readonly found: Discovered }
  | { readonly kind: "live"; readonly found: Discovered }
  | { readonly kind: "stale"; readonly attempt: number; readonly cause: UpstreamError }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "closed" };

/** What happens to an upstream. */
export type UpstreamInput =
  | { readonly kind: "start" }
  | { readonly kind: "discovered"; readonly found: Discovered }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "failed"; readonly error: UpstreamError }
  /** The RD does not give this peer its feed: follow it like any other RD. */
  | { readonly kind: "feed-unavailable"; readonly reason: string; readonly isRefusal: boolean }
  | { readonly kind: "receiving" }
  | { readonly kind: "complete" }
  | { readonly kind: "retry" }
  | { readonly kind: "close" };

/** What the shell has to do. */
export type UpstreamEffect =
  | { readonly kind: "discover" }
  | { readonly kind: "follow"; readonly found: Discovered; readonly method: "feed" | "links" | "none" }
  | { readonly kind: "stop-following" }
  | { readonly kind: "set-connected"; readonly isConnected: boolean }
  /** `afterMs` before jitter. */
  | { readonly kind: "retry-after"; readonly afterMs: number; readonly isExact: boolean }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn";
      readonly message: string;
      readonly fields?: Record<string, unknown>;
    };

export interface Transition {
  readonly state: UpstreamState;
  readonly effects: readonly UpstreamEffect[];
}

export interface MachineOptions {
  readonly mode: "replicate" | "forward";
}

const STAY: readonly UpstreamEffect[] = [];

/** The life of one upstream: `(state, input) → (state, effects)`. Pure and total: an input that does not fit changes nothing. */
export function transition(state: UpstreamState, input: UpstreamInput, options: MachineOptions): Transition {
  if (state.kind === "closed") return { state, effects: STAY };
  switch (input.kind) {
    case "close":
      return {
        state: { kind: "closed" },
        effects: [{ kind: "stop-following" }, { kind: "set-connected", isConnected: false }],
      };
    case "start":
      return state.kind === "idle" ? discover(0) : { state, effects: STAY };
    case "retry":
      if (state.kind === "stale") return discover(state.attempt);
      return state.kind === "refused" ? discover(0, state.reason) : { state, effects: STAY };
    case "discovered":
      return state.kind === "discovering" ? follow(state, input.found, options) : { state, effects: STAY };
    case "refused":
      return refuse(state, input.reason);
    case "feed-unavailable":
      return withoutFeed(state, input);
    case "receiving":
      return state.kind === "probing"
        ? { state: { ...state, kind: "copying" }, effects: STAY }
        : { state, effects: STAY };
    case "complete":
      return complete(state);
    case "failed":
      return fail(state, input.error);
    default:
      return input satisfies never;
  }
}

function discover(attempt: number, refusal?: string): Transition {
  const state = { kind: "discovering" as const, attempt, ...(refusal === undefined ? {} : { refusal }) };
  return { state, effects: [{ kind: "discover" }] };
}

function follow(
  state: Extract<UpstreamState, { kind: "discovering" }>,
  found: Discovered,
  { mode }: MachineOptions,
): Transition {
  if (mode === "forward") {
    return {
      state: { kind: "live", found },
      effects: [{ kind: "follow", found, method: "none" }, log("info", "upstream found", found)],
    };
  }
  const method = found.hasFeed ? "feed" : "links";
  return {
    state: { kind: "probing", attempt: state.attempt, found },
    // One that was found before and could not be followed says so once; when it can, it is live.
    effects: [
      { kind: "follow", found, method },
      ...(state.attempt === 0 ? [log("info", "upstream found", found, { method })] : []),
    ],
  };
}

function refuse(before: UpstreamState, reason: string): Transition {
  const isKnown = before.kind === "discovering" && before.refusal === reason;
  return {
    state: { kind: "refused", reason },
    effects: [
      { kind: "stop-following" },
      { kind: "set-connected", isConnected: false },
      ...(isKnown
        ? []
        : [{ kind: "log" as const, level: "warn" as const, message: "upstream refused", fields: { reason } }]),
      { kind: "retry-after", afterMs: REFUSED_RETRY_MS, isExact: false },
    ],
  };
}

function withoutFeed(state: UpstreamState, input: Extract<UpstreamInput, { kind: "feed-unavailable" }>): Transition {
  if (!("found" in state) || !state.found.hasFeed) return { state, effects: STAY };
  // Its lookups do not tell what came through here already.
  if (state.found.isTier)
    return refuse(state, `it is a lookup proxy that does not tell this node what it knows: ${input.reason}`);
  const found = { ...state.found, hasFeed: false };
  const level = input.isRefusal ? ("warn" as const) : ("info" as const);
  const attempt = state.kind === "live" ? 0 : state.attempt;
  return {
    state: { kind: "probing", attempt, found },
    effects: [
      { kind: "stop-following" },
      ...(attempt === 0
        ? [
            {
              kind: "log" as const,
              level,
              message: "upstream gives no feed, following its lookups",
              fields: { reason: input.reason },
            },
          ]
        : []),
      { kind: "follow", found, method: "links" },
    ],
  };
}

function complete(state: UpstreamState): Transition {
  if (state.kind !== "probing" && state.kind !== "copying") return { state, effects: STAY };
  const { found } = state;
  return {
    state: { kind: "live", found },
    effects: [{ kind: "set-connected", isConnected: true }, log("info", "upstream live", found)],
  };
}

function fail(state: UpstreamState, cause: UpstreamError): Transition {
  if (state.kind === "idle" || state.kind === "refused" || state.kind === "stale" || state.kind === "closed")
    return { state, effects: STAY };
  const attempt = state.kind === "live" ? 0 : state.attempt;
  // An upstream that responds, and cannot be followed all the same, is given time; to one that is silent, a small request does no harm.
  const longestMs = state.kind === "discovering" && isSilence(cause) ? LONGEST_SILENCE_RETRY_MS : LONGEST_RETRY_MS;
  const afterMs = cause.retryAfterMs ?? Math.min(longestMs, FIRST_RETRY_MS * 2 ** Math.min(attempt, 16));
  return {
    state: { kind: "stale", attempt: attempt + 1, cause },
    effects: [
      { kind: "stop-following" },
      { kind: "set-connected", isConnected: false },
      { kind: "retry-after", afterMs, isExact: cause.retryAfterMs !== undefined },
      // Once per outage: further attempts fail for the same reason.
      ...(attempt === 0
        ? [
            {
              kind: "log" as const,
              level: "warn" as const,
              message: state.kind === "live" ? "upstream lost" : "upstream not reached",
              fields: { error: cause.message },
            },
          ]
        : []),
    ],
  };
}

function isSilence({ code }: UpstreamError): boolean {
  return code === "UPSTREAM_TIMEOUT" || code === "UPSTREAM_UNREACHABLE";
}

function log(
  level: "info" | "warn",
  message: string,
  found: Discovered,
  more: Record<string, unknown> = {},
): UpstreamEffect {
  return {
    kind: "log",
    level,
    message,
    fields: { endpointLookup: found.endpointLookup, resourceLookup: found.resourceLookup, ...more },
  };
}
