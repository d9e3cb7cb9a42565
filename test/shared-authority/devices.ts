import { CODE, CONTENT_FORMAT, type CoapClient, formatCode, METHOD } from "@tributary/coap-transport";
import { pathOf } from "./instances.js";

/** Time after which a device tries another instance, ms. */
const PATIENCE_MS = 1000;
/** Pause before a device that was refused tries again, ms. */
const RETRY_MS = 100;
/** Pause of a device between two requests, ms. */
const REST_MS = 40;
const LONG_LT_S = 6000;
const SHORT_LT_S = 2;

/** What devices share. */
export interface DevicesContext {
  readonly client: CoapClient;
  /** Address of some instance, as anycast would choose it; it may be dead. */
  readonly anyInstance: () => string;
  readonly random: () => number;
  readonly isOver: () => boolean;
}

/** What the devices know, and what they hold against the directory. */
export class Devices {
  /** Paths of registrations that were acknowledged and not removed, by endpoint name. */
  readonly registered = new Map<string, string>();
  /** Endpoints whose lifetime ends by itself, with the number of requests that registered them. */
  readonly shortLived = new Map<string, number>();
  /**
   * Endpoints that gave an instance up which may still be at work for them, for up to 15 s. They do not remove their registration: it
   * might be there again afterwards.
   */
  readonly #impatient = new Set<string>();
  readonly failures: string[] = [];
  readonly counts = { registered: 0, renewed: 0, updated: 0, removed: 0, repeated: 0 };
  /** Longest time between two acknowledgements of any device, ms. */
  longestPauseMs = 0;
  #lastMs = performance.now();
  #names = 0;
  readonly #context: DevicesContext;

  constructor(context: DevicesContext) {
    this.#context = context;
  }

  /** Runs one device after the other until it is over. */
  async work(): Promise<void> {
    const { isOver, random } = this.#context;
    const own: string[] = [];
    this.#lastMs = performance.now();
    while (!isOver()) {
      const dice = random();
      const at = Math.floor(random() * own.length);
      const ep = own[at];
      if (ep === undefined || dice < 0.3) own.push(await this.#register(LONG_LT_S));
      else if (dice < 0.4) await this.#register(SHORT_LT_S);
      else if (dice < 0.8) await this.#renew(ep);
      else if (dice < 0.9 || this.#impatient.has(ep)) await this.#update(ep);
      else {
        own.splice(at, 1);
        await this.#remove(ep);
      }
      await rest(REST_MS);
    }
  }

  async #register(ltS: number): Promise<string> {
    const ep = `device-${this.#names++}`;
    const { response, attempts } = await this.#persist(ep, () => registration(ep, ltS));
    const path = pathOf(response);
    if (path === undefined) this.failures.push(`registration of ${ep}: ${formatCode(response.code)}`);
    else if (ltS === SHORT_LT_S) this.shortLived.set(ep, attempts);
    else this.registered.set(ep, path);
    this.counts.registered++;
    return ep;
  }

  async #update(ep: string): Promise<void> {
    const { response } = await this.#persist(ep, () => registration(ep, LONG_LT_S + this.#names));
    const path = pathOf(response);
    if (path !== this.registered.get(ep)) this.failures.push(`${ep} moved to ${path}: ${formatCode(response.code)}`);
    this.counts.updated++;
  }

  async #renew(ep: string): Promise<void> {
    const { response } = await this.#persist(ep, () => ({ method: METHOD.POST, path: this.registered.get(ep) ?? "" }));
    if (response.code !== CODE.CHANGED) this.failures.push(`renewal of ${ep}: ${formatCode(response.code)}`);
    this.counts.renewed++;
  }

  async #remove(ep: string): Promise<void> {
    const path = this.registered.get(ep) ?? "";
    const { response, attempts } = await this.#persist(ep, () => ({ method: METHOD.DELETE, path }));
    const isGone = response.code === CODE.DELETED || (attempts > 1 && response.code === CODE.NOT_FOUND);
    if (!isGone) this.failures.push(`removal of ${ep}: ${formatCode(response.code)}`);
    this.registered.delete(ep);
    this.counts.removed++;
  }

  /** Repeats a request, at whatever instance, until one answers it. */
  async #persist(ep: string, requestOf: () => DeviceRequest) {
    const { anyInstance, client } = this.#context;
    for (let attempts = 1; ; attempts++) {
      const { path, ...request } = requestOf();
      const uri = `${anyInstance()}${path}`;
      const response = await client.request({ ...request, uri }, { timeoutMs: PATIENCE_MS }).catch(() => undefined);
      if (response !== undefined && response.code !== CODE.UNAVAILABLE) {
        this.#noteAnswer();
        return { response, attempts };
      }
      this.counts.repeated++;
      this.#impatient.add(ep);
      await rest(RETRY_MS);
    }
  }

  #noteAnswer(): void {
    const nowMs = performance.now();
    this.longestPauseMs = Math.max(this.longestPauseMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }
}

interface DeviceRequest {
  readonly method: number;
  readonly path: string;
  readonly query?: readonly string[];
  readonly contentFormat?: number;
  readonly payload?: Uint8Array;
}

function registration(ep: string, ltS: number): DeviceRequest {
  const payload = new TextEncoder().encode('</t>;rt="temperature"');
  const contentFormat = CONTENT_FORMAT.LINK_FORMAT;
  return { method: METHOD.POST, path: "/rd", query: [`ep=${ep}`, `lt=${ltS}`], contentFormat, payload };
}

/** Lets time pass: a load has a pace. */
export function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
