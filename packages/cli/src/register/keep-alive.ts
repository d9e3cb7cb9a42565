/**
 * State machine that keeps an endpoint registered (RFC 9176 section 5.3, draft 4.4.1): discover, register, renew before the lifetime
 * ends; when the RD is gone, turn to the next. There is one request at a time. Pure.
 */
export type KeepAliveState =
  | { readonly kind: "idle" }
  /** Searching for RDs by multicast. */
  | { readonly kind: "searching"; readonly progress: Progress }
  | { readonly kind: "discovering"; readonly progress: Progress }
  | { readonly kind: "registering"; readonly progress: Progress; readonly isStopping: boolean }
  | { readonly kind: "registered"; readonly progress: Progress; readonly location: string }
  | { readonly kind: "renewing"; readonly progress: Progress; readonly location: string }
  /** Every RD failed; the next round starts after a pause. */
  | { readonly kind: "waiting"; readonly progress: Progress }
  | { readonly kind: "removing"; readonly location: string }
  | { readonly kind: "over" };

/** Progress of the endpoint through its list of RDs. */
export interface Progress {
  /** Index of the RD in use. */
  readonly at: number;
  /** Number of RDs in the list; 0: not known yet. */
  readonly count: number;
  /** RDs that failed since the last success. */
  readonly failures: number;
  /** Complete rounds through the list that failed since the last success. */
  readonly rounds: number;
  readonly wasRegistered: boolean;
}

export type KeepAliveInput =
  | { readonly kind: "start" }
  /** The search found `count` RDs. */
  | { readonly kind: "found"; readonly count: number }
  | { readonly kind: "discovered"; readonly registration: string }
  | { readonly kind: "registered"; readonly location: string }
  | { readonly kind: "renewed" }
  | { readonly kind: "removed" }
  | { readonly kind: "failed"; readonly failure: Failure }
  /** The time of `wait` has passed. */
  | { readonly kind: "elapsed" }
  | { readonly kind: "stop" };

export interface Failure {
  /** `gone`: the RD responds but does not know the registration (4.04). `refused`: another 4.xx. `unavailable`: 5.xx or no response. */
  readonly kind: "gone" | "refused" | "unavailable";
  readonly message: string;
}

export type KeepAliveEffect =
  | { readonly kind: "search" }
  | { readonly kind: "discover"; readonly at: number }
  | { readonly kind: "register"; readonly registration: string }
  | { readonly kind: "renew"; readonly location: string }
  | { readonly kind: "remove"; readonly location: string }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "report"; readonly event: KeepAliveEvent }
  | { readonly kind: "finish"; readonly isFailure: boolean };

/** An event that is reported to the user. */
export type KeepAliveEvent =
  | { readonly kind: "registered"; readonly location: string }
  | { readonly kind: "removed"; readonly location: string }
  | { readonly kind: "not-removed"; readonly location: string; readonly reason: string }
  | { readonly kind: "lost"; readonly location: string; readonly reason: string }
  | { readonly kind: "failed"; readonly at: number; readonly reason: string }
  | { readonly kind: "waiting"; readonly ms: number };

/** Settings of the state machine. */
export interface KeepAliveOptions {
  /** Registration lifetime, ms. */
  readonly ltMs: number;
  /** Number of configured RDs; 0: each round searches for them. */
  readonly candidates: number;
}

/** A state transition. */
export interface Step {
  readonly state: KeepAliveState;
  readonly effects: readonly KeepAliveEffect[];
}

/** Renewals are spread over this part of the lifetime, so that endpoints that start together do not renew together. */
const RENEWAL_FROM = 0.7;
const RENEWAL_SPAN = 0.1;
const MIN_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 60_000;

/** The initial state. */
export const IDLE: KeepAliveState = { kind: "idle" };

/**
 * Returns the next state and its effects. `random` is uniform in [0, 1). An input that does not fit the state, such as the response
 * to an aborted request, changes nothing. Pure.
 */
export function step(state: KeepAliveState, input: KeepAliveInput, options: KeepAliveOptions, random: number): Step {
  if (input.kind === "stop") return stop(state);
  switch (state.kind) {
    case "idle":
      return input.kind === "start" ? beginRound(freshProgress(options), options) : stay(state);
    case "searching":
      return input.kind === "found" ? discover({ ...state.progress, at: 0, count: input.count }) : stay(state);
    case "discovering":
      if (input.kind === "discovered") {
        const { progress } = state;
        return {
          state: { kind: "registering", progress, isStopping: false },
          effects: [{ kind: "register", registration: input.registration }],
        };
      }
      return input.kind === "failed" ? tryNext(state.progress, input.failure, random) : stay(state);
    case "registering":
      return registering(state, input, options, random);
    case "registered":
      if (input.kind !== "elapsed") return stay(state);
      return { state: { ...state, kind: "renewing" }, effects: [{ kind: "renew", location: state.location }] };
    case "renewing":
      return renewing(state, input, options, random);
    case "waiting":
      return input.kind === "elapsed" ? beginRound(state.progress, options) : stay(state);
    case "removing":
      return removing(state, input);
    case "over":
      return stay(state);
    default:
      return state satisfies never;
  }
}

function stay(state: KeepAliveState): Step {
  return { state, effects: [] };
}

function freshProgress({ candidates }: KeepAliveOptions): Progress {
  return { at: 0, count: candidates, failures: 0, rounds: 0, wasRegistered: false };
}

function beginRound(progress: Progress, { candidates }: KeepAliveOptions): Step {
  const fresh = { ...progress, failures: 0 };
  if (candidates === 0) return { state: { kind: "searching", progress: fresh }, effects: [{ kind: "search" }] };
  return discover(fresh);
}

function discover(progress: Progress): Step {
  return { state: { kind: "discovering", progress }, effects: [{ kind: "discover", at: progress.at }] };
}

function registering(
  state: KeepAliveState & { kind: "registering" },
  input: KeepAliveInput,
  options: KeepAliveOptions,
  random: number,
): Step {
  if (input.kind === "registered") {
    if (state.isStopping) return remove(input.location);
    const { at, count } = state.progress;
    const progress = { at, count, failures: 0, rounds: 0, wasRegistered: true };
    const report: KeepAliveEffect = { kind: "report", event: { kind: "registered", location: input.location } };
    return {
      state: { kind: "registered", progress, location: input.location },
      effects: [report, renewal(options, random)],
    };
  }
  if (input.kind !== "failed") return stay(state);
  return state.isStopping ? finish(false) : tryNext(state.progress, input.failure, random);
}

function renewing(
  state: KeepAliveState & { kind: "renewing" },
  input: KeepAliveInput,
  options: KeepAliveOptions,
  random: number,
): Step {
  const { progress, location } = state;
  if (input.kind === "renewed")
    return { state: { kind: "registered", progress, location }, effects: [renewal(options, random)] };
  if (input.kind !== "failed") return stay(state);
  const { kind, message } = input.failure;
  const lost: KeepAliveEffect = { kind: "report", event: { kind: "lost", location, reason: message } };
  // An RD that responds gets the new registration. One that does not respond is skipped (draft 4.4.1).
  const next = kind === "unavailable" ? { ...progress, at: (progress.at + 1) % Math.max(progress.count, 1) } : progress;
  const { state: begun, effects } = options.candidates === 0 ? beginRound(next, options) : discover(next);
  return { state: begun, effects: [lost, ...effects] };
}

function renewal({ ltMs }: KeepAliveOptions, random: number): KeepAliveEffect {
  return { kind: "wait", ms: Math.round(ltMs * (RENEWAL_FROM + RENEWAL_SPAN * random)) };
}

/** Turns to the next RD of the list, or pauses after the last. */
function tryNext(before: Progress, failure: Failure, random: number): Step {
  const at = (before.at + 1) % Math.max(before.count, 1);
  const progress = { ...before, at, failures: before.failures + 1 };
  const report: KeepAliveEffect = { kind: "report", event: { kind: "failed", at: before.at, reason: failure.message } };
  if (progress.failures < progress.count) {
    const { state, effects } = discover(progress);
    return { state, effects: [report, ...effects] };
  }
  // If the endpoint was never registered, the command line is probably wrong.
  if (!progress.wasRegistered) return { ...finish(true), effects: [report, { kind: "finish", isFailure: true }] };
  const ceiling = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(progress.rounds, 10));
  const ms = Math.round(ceiling * (0.5 + random / 2));
  const state: KeepAliveState = { kind: "waiting", progress: { ...progress, rounds: progress.rounds + 1 } };
  return { state, effects: [report, { kind: "report", event: { kind: "waiting", ms } }, { kind: "wait", ms }] };
}

function stop(state: KeepAliveState): Step {
  switch (state.kind) {
    case "registering":
      // The RD may have accepted the registration. Only its response has the location to remove.
      return stay({ ...state, isStopping: true });
    case "registered":
    case "renewing":
      return remove(state.location);
    case "removing":
    case "over":
      return stay(state);
    case "idle":
    case "searching":
    case "discovering":
    case "waiting":
      return finish(false);
    default:
      return state satisfies never;
  }
}

function remove(location: string): Step {
  return { state: { kind: "removing", location }, effects: [{ kind: "remove", location }] };
}

function removing(state: KeepAliveState & { kind: "removing" }, input: KeepAliveInput): Step {
  const { location } = state;
  const isRemoved = input.kind === "removed" || (input.kind === "failed" && input.failure.kind === "gone");
  if (!isRemoved && input.kind !== "failed") return stay(state);
  const event: KeepAliveEvent = isRemoved
    ? { kind: "removed", location }
    : { kind: "not-removed", location, reason: input.kind === "failed" ? input.failure.message : "" };
  return {
    state: { kind: "over" },
    effects: [
      { kind: "report", event },
      { kind: "finish", isFailure: false },
    ],
  };
}

function finish(isFailure: boolean): Step {
  return { state: { kind: "over" }, effects: [{ kind: "finish", isFailure }] };
}
