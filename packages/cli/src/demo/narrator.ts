import type { Clock } from "@tributary/runtime";
import { createEndpointClient, type EndpointClient } from "../register/endpoint-client.js";
import type { EndpointRequest, EndpointResponse } from "../register/endpoint-exchange.js";

/** A request is retransmitted for less than this (RFC 7252 section 4.8.2); on a busy machine its answer may take seconds. */
const REQUEST_TIMEOUT_MS = 100_000;
/** Something that takes milliseconds is said to be waited for after so long. */
const REMARK_MS = 10_000;
const POLL_MS = 10;

export interface NarratorDeps {
  readonly clock: Clock;
  /** Takes one line of the story. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
  /** Pause before each chapter but the first, so that the one before can be read, ms. */
  readonly paceMs: number;
}

/** Tells a story in numbered chapters, with the exchanges that it makes. */
export class Narrator {
  readonly #deps: NarratorDeps;
  readonly #client: EndpointClient = createEndpointClient();
  #chapter = 0;

  constructor(deps: NarratorDeps) {
    this.#deps = deps;
  }

  async title(text: string): Promise<void> {
    if (this.#chapter > 0) await this.#pause(this.#deps.paceMs);
    this.#deps.tell("");
    this.#deps.tell(`${++this.#chapter}. ${text}`);
  }

  say(text: string): void {
    this.#deps.tell(`   ${text}`);
  }

  /** One exchange, as the draft prints them. Rejects unless its answer has the class, or the very code, of `expected`. */
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

  /** One exchange that is not told. */
  ask(method: EndpointRequest["method"], uri: string, payload?: string): Promise<EndpointResponse> {
    const request = { method, uri, ...(payload === undefined ? {} : { payload }) };
    return this.#client.request(request, { timeoutMs: REQUEST_TIMEOUT_MS, signal: this.#deps.signal });
  }

  /** Waits until `isSo`, however long that takes. Rejects when the story is interrupted. */
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

  /** How long something took, to be read. */
  since(startMs: number): string {
    return `${Math.max(1, Math.round(this.#deps.clock.nowMs() - startMs))} ms`;
  }

  close(): void {
    this.#client.close();
  }
}
