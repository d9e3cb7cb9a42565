import type { Clock } from "@tributary/coap-transport";
import { createEndpointClient, type EndpointClient } from "../register/endpoint-client.js";
import type { EndpointRequest, EndpointResponse } from "../register/endpoint-exchange.js";

const REQUEST_TIMEOUT_MS = 5000;
/** Longest wait for a change to arrive everywhere; it takes milliseconds. */
const PATIENCE_MS = 10_000;
const POLL_MS = 5;

export interface NarratorDeps {
  readonly clock: Clock;
  /** Takes one line of the story. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Tells a story in numbered chapters, with the exchanges that it makes. */
export class Narrator {
  readonly #deps: NarratorDeps;
  readonly #client: EndpointClient = createEndpointClient();
  #chapter = 0;

  constructor(deps: NarratorDeps) {
    this.#deps = deps;
  }

  title(text: string): void {
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

  /** Wait until `isSo`; rejects when that takes too long, or when the story is interrupted. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const { clock, signal } = this.#deps;
    const endMs = clock.nowMs() + PATIENCE_MS;
    while (!isSo()) {
      signal.throwIfAborted();
      if (clock.nowMs() > endMs) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain: ${what}`);
      await new Promise<void>((resolve) => clock.setTimer(POLL_MS, resolve));
    }
  }

  /** How long something took, to be read. */
  since(startMs: number): string {
    return `${Math.max(1, Math.round(this.#deps.clock.nowMs() - startMs))} ms`;
  }

  close(): void {
    this.#client.close();
  }
}
