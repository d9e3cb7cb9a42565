import type { UpstreamState } from "./machine.js";
import type { UpstreamPhase } from "./types.js";

/**
 * The phase that operators and machines are shown. It changes when the world changes, not when a retry begins: while an upstream
 * that was lost, never reached or refused is looked for again, it is what it was. Pure.
 * `isHeld`: there is something that was complete, so that losing the upstream leaves it stale; without, nothing is known of it.
 */
export function shownPhase(state: UpstreamState, before: UpstreamPhase, isHeld: boolean): UpstreamPhase {
  switch (state.kind) {
    case "stale":
      return isHeld ? "stale" : "missing";
    case "discovering":
    case "probing":
      // One that takes the place of another goes on from what that was.
      return before === "idle" || before === "discovering" ? state.kind : before;
    default:
      return state.kind;
  }
}
