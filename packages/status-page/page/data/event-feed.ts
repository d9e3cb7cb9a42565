import { fetchJson } from "./fetch-json.ts";
import type { EventView } from "./types.ts";

/** Events that the page remembers. */
const MAX_EVENTS = 1000;
/** The page is rendered at most once in this time, however many events there are. */
const BATCH_MS = 250;
const RETRY_MS = 5000;
const KINDS = ["registered", "updated", "removed", "expired", "superseded", "returned", "connected", "lost"] as const;

/** What is shown of the events. */
export interface EventFeedState {
  readonly events: readonly EventView[];
  readonly isStreaming: boolean;
}

/** Follows the events of the node, with those that it remembers from before. */
export class EventFeed {
  readonly #onChange: (change: Partial<EventFeedState>) => void;
  #events: readonly EventView[] = [];
  #waiting: EventView[] = [];
  #source: EventSource | null = null;
  #retry: number | undefined;
  #batch: number | undefined;
  #run = 0;

  constructor(onChange: (change: Partial<EventFeedState>) => void) {
    this.#onChange = onChange;
  }

  start(): void {
    void this.#open(++this.#run);
  }

  stop(): void {
    this.#run++;
    this.#source?.close();
    clearTimeout(this.#retry);
    clearTimeout(this.#batch);
    this.#batch = undefined;
  }

  /** The node is another one: identities of events began again. */
  restart(): void {
    this.stop();
    this.#waiting = [];
    this.start();
  }

  async #open(run: number): Promise<void> {
    try {
      const { events, last } = await fetchJson<{ events: EventView[]; last: number }>(`api/events?limit=${MAX_EVENTS}`);
      if (run !== this.#run) return;
      this.#events = events;
      this.#onChange({ events });
      this.#stream(last, run);
    } catch {
      // That the node is not reached is shown by the other readings.
      if (run === this.#run) this.#tryLater(run);
    }
  }

  #stream(after: number, run: number): void {
    const source = new EventSource(`api/events?after=${after}`);
    this.#source = source;
    source.onopen = () => this.#onChange({ isStreaming: true });
    source.onerror = () => {
      this.#onChange({ isStreaming: false });
      // Otherwise the browser connects again by itself, after the last event that it has.
      if (source.readyState === EventSource.CLOSED && run === this.#run) this.#tryLater(run);
    };
    for (const kind of KINDS)
      source.addEventListener(kind, (message) => this.#add(JSON.parse(message.data) as EventView));
  }

  #tryLater(run: number): void {
    this.#retry = setTimeout(() => void this.#open(run), RETRY_MS);
  }

  #add(event: EventView): void {
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_EVENTS) this.#waiting.shift();
    this.#batch ??= setTimeout(() => {
      this.#batch = undefined;
      this.#events = [...this.#events, ...this.#waiting].slice(-MAX_EVENTS);
      this.#waiting = [];
      this.#onChange({ events: this.#events });
    }, BATCH_MS);
  }
}
