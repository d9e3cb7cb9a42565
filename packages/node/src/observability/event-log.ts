import type { Directory, SourceChange, VisibleChange } from "@tributary/merge-engine";
import type { Clock } from "@tributary/runtime";

/**
 * What happened: to a registration of a source (`registered`, `updated`, `removed`, `expired`), to what is shown for an endpoint
 * (`superseded` by a newer registration, `returned` because the newer one has gone), or to a source (`connected`, `lost`).
 */
export type NodeEventKind =
  | "registered"
  | "updated"
  | "removed"
  | "expired"
  | "superseded"
  | "returned"
  | "discarded"
  | "connected"
  | "lost";

/** One event. Absent members do not apply. */
export interface NodeEvent {
  /** Counts from 1, without gaps. */
  readonly id: number;
  /** Wall-clock time, ms since the Unix epoch. */
  readonly atMs: number;
  readonly kind: NodeEventKind;
  readonly ep?: string;
  readonly d?: string;
  /** Name of the upstream, or that of own registrations. */
  readonly source?: string;
  readonly href?: string;
  /** `superseded`, `returned`: the registration that was shown before. */
  readonly before?: { readonly source: string; readonly href: string };
  /** `discarded`: what was, and whether this node had acknowledged it. */
  readonly what?: "registration" | "removal";
  readonly takenBy?: "here" | "elsewhere";
}

/** Bounds of an event log. */
export interface EventLogLimits {
  readonly events: number;
  /** Length of all texts together, UTF-16 code units. */
  readonly length: number;
}

const DEFAULT_LIMITS: EventLogLimits = { events: 10_000, length: 2_000_000 };

type NewEvent = Omit<NodeEvent, "id" | "atMs">;

/** Remembers the latest events of a directory. Renewals are none. */
export class EventLog {
  readonly #clock: Clock;
  readonly #limits: EventLogLimits;
  readonly #listeners = new Set<(event: NodeEvent) => void>();
  readonly #stops: (() => void)[];
  #events: NodeEvent[] = [];
  /** Events at the beginning that count as forgotten. */
  #forgotten = 0;
  #length = 0;
  #lastId = 0;

  constructor(deps: { readonly directory: Directory; readonly clock: Clock }, limits: Partial<EventLogLimits> = {}) {
    this.#clock = deps.clock;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#stops = [
      deps.directory.on("source", (change) => this.#onSource(change)),
      deps.directory.on("visible", (change) => this.#onVisible(change)),
      deps.directory.on("connection", (source, isConnected) =>
        this.#add({ kind: isConnected ? "connected" : "lost", source }),
      ),
    ];
  }

  /** Identity of the latest event; 0: there was none. */
  get lastId(): number {
    return this.#lastId;
  }

  /** The remembered events after the one with this identity, oldest first. */
  *since(id: number): Generator<NodeEvent> {
    const firstId = this.#lastId - (this.#events.length - this.#forgotten) + 1;
    for (let at = this.#forgotten + Math.max(0, id + 1 - firstId); at < this.#events.length; at++)
      yield this.#events[at] as NodeEvent;
  }

  /** Calls `listener` for each event from now on; returns the function that stops that. */
  onEvent(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Adds an event that the directory does not tell of. */
  add(event: NewEvent): void {
    this.#add(event);
  }

  /** Stops following the directory. */
  close(): void {
    for (const stop of this.#stops) stop();
    this.#listeners.clear();
  }

  #onSource({ source, kind, cause, registration }: SourceChange): void {
    const { ep, d, shownHref: href } = registration;
    const what = kind === "added" ? "registered" : kind === "replaced" ? "updated" : endOf(kind, cause);
    if (what !== null) this.#add({ kind: what, ep, ...(d === undefined ? {} : { d }), source, href });
  }

  #onVisible({ cause, ep, d, before, after }: VisibleChange): void {
    if ((cause !== "superseded" && cause !== "returned") || after === undefined) return;
    this.#add({
      kind: cause,
      ep,
      ...(d === undefined ? {} : { d }),
      source: after.source,
      href: after.shownHref,
      ...(before === undefined ? {} : { before: { source: before.source, href: before.shownHref } }),
    });
  }

  #add(event: NewEvent): void {
    const added: NodeEvent = { id: ++this.#lastId, atMs: this.#clock.wallMs(), ...event };
    this.#events.push(added);
    this.#length += lengthOf(added);
    while (this.#events.length - this.#forgotten > this.#limits.events || this.#length > this.#limits.length)
      this.#length -= lengthOf(this.#events[this.#forgotten++] as NodeEvent);
    // Moving the others for each one that is forgotten would cost more than all the rest.
    if (this.#forgotten > this.#limits.events) {
      this.#events = this.#events.slice(this.#forgotten);
      this.#forgotten = 0;
    }
    for (const listener of this.#listeners) listener(added);
  }
}

/** Registrations of a source that is closed have not ended: nobody follows them any more. */
function endOf(kind: SourceChange["kind"], cause: SourceChange["cause"]): "removed" | "expired" | null {
  if (kind !== "removed" || cause === "source-closed") return null;
  return cause === "expired" ? "expired" : "removed";
}

function lengthOf({ ep, d, source, href, before }: NodeEvent): number {
  const texts = [ep, d, source, href, before?.source, before?.href];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}
