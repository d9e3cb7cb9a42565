import type { CommandIo } from "@tributary/cli";
import { CODE, errorResponse } from "@tributary/coap-transport";
import { createDirectory, type Registration } from "@tributary/merge-engine";
import type { GatewayLookups, LookupSample, Node } from "@tributary/node";
import type { RequestCount } from "@tributary/resource-directory";
import type { Clock } from "@tributary/runtime";
import type { UpstreamStatus } from "@tributary/upstream-sync";

/** Wall clock of the tests at monotonic time 0. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

/** A clock that only moves when a test sets it; timers fire when it passes them. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { dueMs: number; callback: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return EPOCH_MS + this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      },
    };
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers.filter(({ dueMs }) => dueMs <= untilMs).sort((one, other) => one.dueMs - other.dueMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#nowMs = due.dueMs;
      due.callback();
    }
    this.#nowMs = untilMs;
  }
}

export function upstreamStatus(overrides: Partial<UpstreamStatus> = {}): UpstreamStatus {
  return {
    name: "rd-b",
    uri: "coap://[2001:db8:23::2]",
    mode: "replicate",
    phase: "live",
    method: "feed",
    isComplete: true,
    wasTried: true,
    coverage: [[]],
    replicates: [[]],
    sources: ["rd-b"],
    isTier: false,
    registrations: 2,
    feedBytes: 1234,
    attempts: 1,
    rejected: new Map(),
    leftOut: new Map(),
    lossyCoverage: [],
    capabilities: {
      feed: "yes",
      observe: "yes",
      hrefFilter: "yes",
      provenance: "yes",
      lifetimeAge: "yes",
      paging: "yes",
      etag: "yes",
      remarks: [],
    },
    ...overrides,
  };
}

export function registration(overrides: Partial<Registration> = {}): Registration {
  return {
    href: "/reg/1",
    ep: "node1",
    base: "coap://[2001:db8::9]",
    attributes: [],
    links: [{ target: "coap://[2001:db8::9]/t", attributes: [["rt", "temp"]] }],
    ltMs: 90_000_000,
    renewedAtMs: 0,
    expiresAtMs: 90_000_000,
    expiry: "exact",
    ...overrides,
  };
}

/** A node without network: a real directory, and whatever upstreams and counters the test sets. */
export class FakeNode implements Node {
  readonly name = "lp-z";
  readonly listening = ["coap://[::1]:5683"];
  readonly directory = createDirectory();
  statuses: UpstreamStatus[] = [];
  ready = true;
  readonly evictions = new Map<string, number>();
  readonly refusals = new Map<string, number>();
  readonly cacheOutcomes = new Map<string, number>();
  registrationRequests: readonly RequestCount[] = [];
  readonly counters = {
    evictions: this.evictions,
    rejected: () => this.refusals,
    registrationRequests: () => this.registrationRequests,
    cache: () => this.cacheOutcomes,
    transport: [],
  };
  readonly #listeners = new Set<(sample: LookupSample) => void>();

  upstreams(): readonly UpstreamStatus[] {
    return this.statuses;
  }

  tableSizes() {
    return { observers: 3 };
  }

  /** Lookups over HTTP are tested with real nodes. */
  readonly gatewayLookups: GatewayLookups = {
    ep: () => errorResponse(CODE.UNAVAILABLE, "a node without lookups"),
    res: () => errorResponse(CODE.UNAVAILABLE, "a node without lookups"),
  };

  readonly onDisk = 0;

  memory() {
    return this.directory.limits.memory.use();
  }

  isReady(): boolean {
    return this.ready;
  }

  reload() {
    return Promise.resolve({ added: [], removed: [], changed: [], kept: [], needRestart: [] });
  }

  onLookup(listener: (sample: LookupSample) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  sample(sample: LookupSample): void {
    for (const listener of this.#listeners) listener(sample);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Input and output of a command, kept; `interrupt()` is what SIGINT does. */
export class FakeIo implements CommandIo {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly stderr: NodeJS.WritableStream = process.stderr;
  input: Uint8Array = new Uint8Array();
  readonly #interrupt = new AbortController();
  readonly interrupt = this.#interrupt.signal;
  readonly outputClosed = new AbortController().signal;
  readonly #hangup = new Set<() => void>();
  #waiting: { pattern: RegExp; resolve: (line: string) => void }[] = [];

  readonly out = (line: string): void => {
    this.lines.push(line);
    this.#waiting = this.#waiting.filter(({ pattern, resolve }) => !pattern.test(line) || resolve(line) !== undefined);
  };

  readonly err = (line: string): void => {
    this.errors.push(line);
  };

  readInput(): Promise<Uint8Array> {
    return Promise.resolve(this.input);
  }

  onHangup(listener: () => void): () => void {
    this.#hangup.add(listener);
    return () => this.#hangup.delete(listener);
  }

  hangUp(): void {
    for (const listener of this.#hangup) listener();
  }

  stop(): void {
    this.#interrupt.abort();
  }

  /** The first line from now on that matches, or one that was written already. */
  line(pattern: RegExp, after = 0): Promise<string> {
    const known = this.lines.slice(after).find((line) => pattern.test(line));
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiting.push({ pattern, resolve }));
  }
}
