import type { Clock, Logger } from "@tributary/runtime";
import { createEndpointClient, type EndpointClient } from "../register/endpoint-client.js";
import type { EndpointRequest, EndpointResponse } from "../register/endpoint-exchange.js";

/** Time-out of a request, ms: longer than all retransmissions (RFC 7252 section 4.8.2), because a busy machine may be slow. */
const REQUEST_TIMEOUT_MS = 100_000;
/** Time after which a wait is mentioned, ms. */
const REMARK_MS = 10_000;
const POLL_MS = 10;

/** Collaborators and settings of a `Narrator`. */
export interface NarratorDeps {
  readonly clock: Clock;
  /** Prints one line. */
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  /** Pause before each chapter but the first, ms. */
  readonly paceMs: number;
  /** Traces packets. Default: they are not traced. */
  readonly packets?: Logger;
}

/** Prints numbered chapters, and performs and prints exchanges. */
export class Narrator {
  readonly #deps: NarratorDeps;
  readonly #client: EndpointClient;
  #chapter = 0;

  constructor(deps: NarratorDeps) {
    this.#deps = deps;
    this.#client = createEndpointClient(deps.packets);
  }

  async title(text: string): Promise<void> {
    if (this.#chapter > 0) await this.#pause(this.#deps.paceMs);
    this.#deps.print("");
    this.#deps.print(`${++this.#chapter}. ${text}`);
  }

  say(text: string): void {
    this.#deps.print(`   ${text}`);
  }

  /** Performs an exchange and prints it in the form of the draft. Rejects unless the response code starts with `expected`. */
  async show(
    method: EndpointRequest["method"],
    uri: string,
    { payload, expected = "2." }: { readonly payload?: string; readonly expected?: string } = {},
  ): Promise<EndpointResponse> {
    this.say(`Req: ${method} ${uri}`);
    if (payload !== undefined) this.say(`     ${payload}`);
    const response = await this.ask(method, uri, payload);
    const location = response.locationPath.length > 0 ? `  Location: /${response.locationPath.join("/")}` : "";
    this.say(`Res: ${response.code}${location}`);
    const text = new TextDecoder().decode(response.payload);
    for (const link of text.split(/,(?=<)/)) if (link !== "") this.say(`     ${link}`);
    if (!response.code.startsWith(expected)) throw new Error(`${uri} answered ${response.code}`);
    return response;
  }

  /** Performs an exchange without printing it. */
  ask(method: EndpointRequest["method"], uri: string, payload?: string): Promise<EndpointResponse> {
    const request = { method, uri, ...(payload === undefined ? {} : { payload }) };
    return this.#client.request(request, { timeoutMs: REQUEST_TIMEOUT_MS, signal: this.#deps.signal });
  }

  /** Waits until `isSo` returns true, without a limit. Rejects when the demo is interrupted. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const { clock } = this.#deps;
    let remarkAtMs = clock.nowMs() + REMARK_MS;
    while (!isSo()) {
      await this.#pause(POLL_MS);
      if (clock.nowMs() < remarkAtMs) continue;
      this.say(`(waiting for ${what})`);
      remarkAtMs = clock.nowMs() + REMARK_MS;
    }
  }

  async #pause(ms: number): Promise<void> {
    const { clock, signal } = this.#deps;
    signal.throwIfAborted();
    if (ms === 0) return;
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(ms, done);
      signal.addEventListener("abort", done, { once: true });
      function done() {
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      }
    });
    signal.throwIfAborted();
  }

  /** Returns the time since `startMs` as text. */
  since(startMs: number): string {
    return `${Math.max(1, Math.round(this.#deps.clock.nowMs() - startMs))} ms`;
  }

  close(): void {
    this.#client.close();
  }
}
