import { useEffect, useState } from "preact/hooks";
import { EventFeed } from "./event-feed.ts";
import { fetchJson, fetchNode, reasonOf } from "./fetch-json.ts";
import { type Moment, momentBetween, type Reading } from "./history.ts";
import { parseMetrics } from "./metrics.ts";
import type { EventView, NodeView, StaleView, UpstreamView } from "./types.ts";

/** What is known of the node now. */
export interface LiveState {
  readonly reading: Reading | null;
  readonly isReady: boolean;
  readonly stale: StaleView | null;
  /** When `stale` was read, as `Date.now()`. */
  readonly staleAtMs: number;
  /** Why the node is not reached; null: it is. */
  readonly error: string | null;
  readonly moments: readonly Moment[];
  /** The latest last. */
  readonly events: readonly EventView[];
  readonly isStreaming: boolean;
}

const INTERVAL_MS = 2000;
/** Readings that the charts remember: 20 minutes. */
const MAX_MOMENTS = 600;
/** Readings between those of what is stale, which costs the node a pass over its directory. */
const STALE_EVERY = 5;

/** Reads the node every two seconds while the page is visible, and its events as they happen. */
export class Live {
  #state: LiveState = {
    reading: null,
    isReady: false,
    stale: null,
    staleAtMs: 0,
    error: null,
    moments: [],
    events: [],
    isStreaming: false,
  };
  readonly #listeners = new Set<() => void>();
  readonly #events = new EventFeed((change) => this.#set(change));
  #timer: number | undefined;
  #isReading = false;
  #readings = 0;

  get state(): LiveState {
    return this.#state;
  }

  /** Starts reading; returns the function that stops it. */
  start(): () => void {
    const onVisibility = (): void => {
      if (document.visibilityState === "visible") void this.#read();
    };
    document.addEventListener("visibilitychange", onVisibility);
    this.#timer = setInterval(onVisibility, INTERVAL_MS);
    void this.#read();
    this.#events.start();
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      clearInterval(this.#timer);
      this.#events.stop();
    };
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const [node, upstreams, metrics, ready] = await Promise.all([
        fetchJson<NodeView>("api/node"),
        fetchJson<readonly UpstreamView[]>("api/upstreams"),
        fetchNode("metrics", {}).then((response) => response.text()),
        fetchNode("readyz", {}),
      ]);
      const reading = { atMs: Date.now(), node, upstreams, metrics: parseMetrics(metrics) };
      const { reading: before, moments } = this.#state;
      const isSameRun = before !== null && node.uptime >= before.node.uptime;
      if (before !== null && !isSameRun) this.#events.restart();
      const moment = momentBetween(isSameRun ? before : null, reading);
      this.#set({ reading, isReady: ready.ok, error: null, moments: [...moments, moment].slice(-MAX_MOMENTS) });
      await this.#readStale(node.registrations.stale);
    } catch (error) {
      this.#set({ error: reasonOf(error) });
    } finally {
      this.#isReading = false;
    }
  }

  async #readStale(count: number): Promise<void> {
    if (count === 0) this.#set({ stale: null });
    else if (this.#state.stale === null || this.#readings++ % STALE_EVERY === 0)
      this.#set({ stale: await fetchJson<StaleView>("api/stale"), staleAtMs: Date.now() });
  }

  #set(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** The state of the node; the component is rendered with each change. */
export function useLive(live: Live): LiveState {
  const [state, setState] = useState(live.state);
  useEffect(() => live.subscribe(() => setState(live.state)), [live]);
  return state;
}

/** The present time, `Date.now()`, each second. */
export function useNow(): number {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}
