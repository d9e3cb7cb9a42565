import {
  type ClientRequest,
  type ClientResponse,
  CODE,
  type CoapClient,
  type Observation,
} from "@tributary/coap-transport";
import { parseLinkFormatTolerantly, serialiseLink } from "@tributary/link-model";
import { linkToJson } from "@tributary/node";
import type { CommandIo } from "./command-io.js";
import { LookupFailure, responseFailure } from "./lookup-failure.js";
import { countLines, diffLines } from "./multiset-diff.js";

/** Collaborators of `watchLookup`. */
export interface WatchDeps {
  readonly client: CoapClient;
  readonly io: CommandIo;
  readonly timeoutMs: number;
}

/**
 * Observes a lookup and prints added (`+`) and removed (`-`) links until interrupted. Returns the exit status; rejects with
 * `LookupFailure` or `TransportError` when the observation ends by itself.
 */
export async function watchLookup(
  deps: WatchDeps,
  options: { readonly request: ClientRequest; readonly json: boolean },
): Promise<number> {
  const { io } = deps;
  const watch = new LookupWatch(deps, options);
  const stop = (): void => watch.stop();
  const signals = [io.interrupt, io.outputClosed];
  for (const signal of signals) signal.addEventListener("abort", stop, { once: true });
  if (signals.some((signal) => signal.aborted)) watch.stop();
  try {
    await watch.done;
    return 0;
  } finally {
    for (const signal of signals) signal.removeEventListener("abort", stop);
    await watch.close();
  }
}

class LookupWatch {
  /** Resolves when stopped, rejects when the observation ends by itself. */
  readonly done: Promise<void>;
  readonly #deps: WatchDeps;
  readonly #options: { readonly request: ClientRequest; readonly json: boolean };
  readonly #observation: Observation;
  #settle: { resolve: () => void; reject: (error: Error) => void } = { resolve() {}, reject() {} };
  #shown: ReadonlyMap<string, number> = new Map();

  constructor(deps: WatchDeps, options: { readonly request: ClientRequest; readonly json: boolean }) {
    this.#deps = deps;
    this.#options = options;
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#observation = deps.client.observe(
      options.request,
      {
        onNotification: (response) => this.#receive(response),
        onEnd: (reason) => this.#end(reason),
      },
      { timeoutMs: deps.timeoutMs, keepAlive: true },
    );
  }

  stop(): void {
    this.#settle.resolve();
  }

  async close(): Promise<void> {
    await this.#observation.close();
  }

  #receive(response: ClientResponse): void {
    if (response.code !== CODE.CONTENT && response.code !== CODE.VALID) {
      this.#settle.reject(responseFailure(this.#options.request.uri, response));
      return;
    }
    if (response.code === CODE.CONTENT) this.#show(response.payload);
  }

  #show(payload: Uint8Array): void {
    const { links, problems } = parseLinkFormatTolerantly(payload);
    const { io } = this.#deps;
    for (const { message } of problems) io.err(`tributary: part of the response cannot be read: ${message}`);
    const render = this.#options.json
      ? (link: (typeof links)[number]) => JSON.stringify(linkToJson(link))
      : serialiseLink;
    const now = countLines(links.map(render));
    const { added, removed } = diffLines(this.#shown, now);
    this.#shown = now;
    if (!this.#options.json) {
      for (const line of removed) io.out(`- ${line}`);
      for (const line of added) io.out(`+ ${line}`);
    } else if (added.length + removed.length > 0) {
      io.out(`{"added":[${added.join(",")}],"removed":[${removed.join(",")}]}`);
    }
  }

  #end(reason: "not-observable" | "error-response" | Error): void {
    const { uri } = this.#options.request;
    if (reason instanceof Error) this.#settle.reject(reason);
    else if (reason === "not-observable")
      this.#settle.reject(new LookupFailure(`${uri} cannot be observed; leave out --watch`));
    else this.#settle.reject(new LookupFailure(`${uri} ended the observation`));
  }
}
