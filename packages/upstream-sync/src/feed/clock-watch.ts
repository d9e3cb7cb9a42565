import { CODE, CONTENT_FORMAT, METHOD } from "@tributary/coap-transport";
import { federationTimeItem, feedSelector, MAX_PATCH_BYTES, readClock } from "@tributary/replication";
import { jittered, type Timer } from "@tributary/runtime";
import { FIRST_CLOCK_PAUSE_MS, HEARTBEAT_TIMEOUT_MS, LONGEST_CLOCK_PAUSE_MS } from "../constants.js";
import { type Discovered, feedScope } from "../discovery/discovery.js";
import type { FollowerDeps } from "../follower.js";
import type { FeedCopy } from "./feed-copy.js";

/** Selects no registration, for no endpoint name is empty: the answer is an empty document with the RD's clock. */
const NOTHING = "ep=";

/**
 * Keeps the clock of an RD known well enough for ages to mean something: notifications tell it late, so it is asked for when
 * the bounds are far apart, ever more rarely where asking does not help.
 */
export class ClockWatch {
  readonly #deps: FollowerDeps;
  readonly #copy: FeedCopy;
  readonly #found: Discovered;
  readonly #abort = new AbortController();
  #timer: Timer | null = null;
  #pauseMs = FIRST_CLOCK_PAUSE_MS;

  constructor(deps: FollowerDeps, copy: FeedCopy, found: Discovered) {
    this.#deps = deps;
    this.#copy = copy;
    this.#found = found;
  }

  /** To be called whenever something was received. */
  check(): void {
    if (this.#timer !== null || this.#abort.signal.aborted) return;
    const { clock, random } = this.#deps.env;
    if (this.#copy.knowsClock(clock.nowMs())) {
      this.#pauseMs = FIRST_CLOCK_PAUSE_MS;
      return;
    }
    this.#timer = clock.setTimer(jittered(random, this.#pauseMs, 1, 1.1), () => void this.#ask());
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_CLOCK_PAUSE_MS);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#abort.abort();
  }

  async #ask(): Promise<void> {
    const { client, env, events } = this.#deps;
    const askedAtMs = env.clock.nowMs();
    const federationTimeMs = this.#copy.federationTimeMs(askedAtMs);
    const time = federationTimeMs === null ? [] : [federationTimeItem(federationTimeMs)];
    const query = [feedSelector("ep", feedScope(this.#found)), NOTHING, ...time];
    try {
      const response = await client.request(
        { method: METHOD.GET, uri: this.#found.endpointLookup, query, accept: CONTENT_FORMAT.JSON_PATCH },
        { timeoutMs: HEARTBEAT_TIMEOUT_MS, signal: this.#abort.signal, maxBodyBytes: MAX_PATCH_BYTES },
      );
      events.contact();
      events.bytes(response.wireBytes);
      const reading = response.code === CODE.CONTENT ? readClock(response.payload) : null;
      if (reading !== null) this.#copy.noteClock(reading, env.clock.nowMs(), askedAtMs);
    } catch {
      // Whether the RD is gone shows with the feed itself.
    }
    this.#timer = null;
    this.check();
  }
}
