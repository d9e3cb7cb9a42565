import type { Environment, Timer } from "@tributary/runtime";
import type { CommandIo } from "../command-io.js";
import { searchByMulticast } from "./directory-search.js";
import type { EndpointClient } from "./endpoint-client.js";
import {
  IDLE,
  type KeepAliveEffect,
  type KeepAliveEvent,
  type KeepAliveInput,
  type KeepAliveOptions,
  type KeepAliveState,
  step,
} from "./keep-alive.js";
import {
  type Attempt,
  discoverRegistration,
  type EndpointRegistration,
  sendRegistration,
  sendRemoval,
  sendRenewal,
} from "./registration.js";

/** Collaborators of `keepRegistered`. */
export interface KeepRegisteredDeps {
  readonly client: EndpointClient;
  readonly env: Pick<Environment, "clock" | "random">;
  readonly io: Pick<CommandIo, "out" | "err" | "interrupt">;
}

/** Settings of `keepRegistered`. */
export interface KeepRegisteredOptions {
  readonly registration: EndpointRegistration;
  /** Origins of the RDs in order of preference; empty: they are searched for. */
  readonly origins: readonly string[];
  /** Time-out of one request, ms. */
  readonly timeoutMs: number;
}

/** Lifetime when none is given (RFC 9176 section 5), seconds. */
const DEFAULT_LIFETIME_S = 90_000;
/**
 * What is registered with `proxy` ends soon after its connection, whatever its lifetime: it is renewed often, so that a connection that
 * was lost is noticed and replaced, and one behind a NAT stays open. Seconds.
 */
const PROXIED_LIFETIME_S = 25;
/** Longest time-out as a part of the lifetime, so that there is time left for the next RD. */
const TIMEOUT_SHARE = 0.2;
const MIN_TIMEOUT_MS = 250;
/** Number of searches: multicast requests are not retransmitted, and may be lost. */
const SEARCHES = 2;
/** The RD that is tried when no server responds to multicast. */
const FALLBACK = "coap://localhost";

/** Keeps an endpoint registered until interrupted. Resolves with false when that failed. */
export function keepRegistered(deps: KeepRegisteredDeps, options: KeepRegisteredOptions): Promise<boolean> {
  return new Promise((resolve, reject) => new RegistrationKeeper(deps, options, { resolve, reject }).start());
}

/** Performs the effects of the state machine. */
class RegistrationKeeper {
  readonly #deps: KeepRegisteredDeps;
  readonly #options: KeepRegisteredOptions;
  readonly #machine: KeepAliveOptions;
  readonly #timeoutMs: number;
  readonly #settle: { resolve: (isKept: boolean) => void; reject: (error: unknown) => void };
  readonly #stop = (): void => this.#feed({ kind: "stop" });
  #state: KeepAliveState = IDLE;
  #origins: readonly string[];
  /** Aborts the present request when another replaces it, so that its outcome is ignored. */
  #request = new AbortController();
  #timer: Timer | null = null;

  constructor(
    deps: KeepRegisteredDeps,
    options: KeepRegisteredOptions,
    settle: { resolve: (isKept: boolean) => void; reject: (error: unknown) => void },
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#settle = settle;
    this.#origins = options.origins;
    const { ltS = DEFAULT_LIFETIME_S, isProxied = false } = options.registration;
    const ltMs = (isProxied ? Math.min(ltS, PROXIED_LIFETIME_S) : ltS) * 1000;
    this.#machine = { ltMs, candidates: options.origins.length };
    this.#timeoutMs = Math.min(options.timeoutMs, Math.max(MIN_TIMEOUT_MS, ltMs * TIMEOUT_SHARE));
  }

  start(): void {
    const { interrupt } = this.#deps.io;
    interrupt.addEventListener("abort", this.#stop, { once: true });
    this.#feed({ kind: "start" });
    if (interrupt.aborted) this.#stop();
  }

  #feed(input: KeepAliveInput): void {
    const { state, effects } = step(this.#state, input, this.#machine, this.#deps.env.random());
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: KeepAliveEffect): void {
    switch (effect.kind) {
      case "search":
        this.#search();
        break;
      case "wait":
        this.#timer?.cancel();
        this.#timer = this.#deps.env.clock.setTimer(effect.ms, () => this.#feed({ kind: "elapsed" }));
        break;
      case "report":
        this.#report(effect.event);
        break;
      case "finish":
        this.#finish(effect.isFailure);
        break;
      default:
        this.#send(effect);
    }
  }

  #send(effect: KeepAliveEffect & { kind: "discover" | "register" | "renew" | "remove" }): void {
    const { client } = this.#deps;
    switch (effect.kind) {
      case "discover":
        this.#ask(
          (control) =>
            discoverRegistration(client, this.#originAt(effect.at), control, this.#options.registration.prover),
          (registration) => ({ kind: "discovered", registration }),
        );
        break;
      case "register":
        this.#ask(
          (control) => sendRegistration(client, effect.registration, this.#options.registration, control),
          (location) => ({ kind: "registered", location }),
        );
        break;
      case "renew":
        this.#ask(
          (control) => sendRenewal(client, effect.location, this.#options.registration, control),
          () => ({ kind: "renewed" }),
        );
        break;
      case "remove":
        this.#ask(
          (control) => sendRemoval(client, effect.location, control),
          () => ({ kind: "removed" }),
        );
        break;
      default:
        effect satisfies never;
    }
  }

  #originAt(index: number): string {
    return this.#origins[index] ?? FALLBACK;
  }

  #begin(): AbortSignal {
    this.#timer?.cancel();
    this.#request.abort();
    this.#request = new AbortController();
    return this.#request.signal;
  }

  #ask<T>(
    send: (control: { timeoutMs: number; signal: AbortSignal }) => Promise<Attempt<T>>,
    toInput: (value: T) => KeepAliveInput,
  ): void {
    const signal = this.#begin();
    send({ timeoutMs: this.#timeoutMs, signal }).then((attempt) => {
      if (signal.aborted) return;
      this.#feed(attempt.ok ? toInput(attempt.value) : { kind: "failed", failure: attempt.failure });
    }, this.#settle.reject);
  }

  #search(): void {
    const signal = this.#begin();
    this.#searchUntilFound(signal).then((origins) => {
      if (signal.aborted) return;
      this.#origins = origins;
      this.#feed({ kind: "found", count: origins.length });
    }, this.#settle.reject);
  }

  async #searchUntilFound(signal: AbortSignal): Promise<readonly string[]> {
    const { client, env } = this.#deps;
    for (let search = 1; search <= SEARCHES && !signal.aborted; search++) {
      const found = await searchByMulticast({ client, clock: env.clock }, "core.rd", { signal });
      if (found.length > 0) return found;
      const here = await discoverRegistration(client, FALLBACK, { timeoutMs: this.#timeoutMs, signal });
      if (here.ok) break;
    }
    return [FALLBACK];
  }

  #report(event: KeepAliveEvent): void {
    const { io } = this.#deps;
    if (event.kind === "registered" || event.kind === "removed") {
      io.out(`${event.kind} ${event.location}`);
      if (event.kind === "registered" && this.#options.registration.prover?.isInPool(event.location) === false)
        io.err("tributary: this RD is in no pool: the name is found at it alone");
    } else io.err(`tributary: ${this.#describe(event)}`);
  }

  #describe(event: Exclude<KeepAliveEvent, { kind: "registered" | "removed" }>): string {
    switch (event.kind) {
      case "not-removed":
        return `${event.location} could not be removed and ends with its lifetime: ${event.reason}`;
      case "lost":
        return `lost ${event.location}: ${event.reason}`;
      case "failed":
        return `no registration at ${this.#originAt(event.at)}: ${event.reason}`;
      case "waiting":
        return `trying again in ${(event.ms / 1000).toFixed(1)} s`;
      default:
        return event satisfies never;
    }
  }

  #finish(isFailure: boolean): void {
    this.#begin();
    this.#deps.io.interrupt.removeEventListener("abort", this.#stop);
    this.#settle.resolve(!isFailure);
  }
}
