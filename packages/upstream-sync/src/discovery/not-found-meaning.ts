import { CODE, type CoapClient } from "@tributary/coap-transport";
import { parseLinkFormatTolerantly } from "@tributary/link-model";
import type { Environment } from "@tributary/runtime";
import { RECENT_DISCOVERY_MS } from "../constants.js";
import { deniesLookup, get } from "./discovery.js";
import { EmptinessEvidence } from "./emptiness-evidence.js";

/** How to ask an RD. */
export interface ProbeControl {
  readonly client: CoapClient;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * What 4.04 of a lookup means at one RD. By RFC 9176 section 6.2 a lookup that matches nothing is 2.05 without links, and 4.04
 * says that there is no such resource; but some RDs answer 4.04 where nothing matches. That is believed only of an RD that was
 * caught doing so: it shows registrations and answers 4.04 when asked for a name that nobody has.
 */
export class NotFoundMeaning {
  readonly #env: Environment;
  #lookups = "";
  #isNothing: boolean | undefined;
  #emptiness = new EmptinessEvidence();
  /** Lookups that answered lately, and when. */
  readonly #thereMs = new Map<string, number>();

  constructor(env: Environment) {
    this.#env = env;
  }

  /** What was proven holds for the lookups at which it was. */
  forLookups(endpointLookup: string, resourceLookup: string): void {
    const lookups = `${endpointLookup} ${resourceLookup}`;
    if (lookups !== this.#lookups) {
      this.#isNothing = undefined;
      this.#emptiness = new EmptinessEvidence();
    }
    this.#thereMs.clear();
    this.#lookups = lookups;
  }

  /** 4.04 was proven to say that nothing matches. */
  get isNothing(): boolean {
    return this.#isNothing === true;
  }

  /** What speaks for it that an RD that was never caught doing so has become empty. */
  get emptiness(): EmptinessEvidence {
    return this.#emptiness;
  }

  /** Find out at an endpoint lookup that has just shown registrations, unless it is known. Never rejects. */
  async learn(endpointLookup: string, { client, timeoutMs, signal }: ProbeControl): Promise<boolean> {
    if (this.#isNothing === undefined) {
      const name = `nobody-${Math.floor(this.#env.random() * 2 ** 48).toString(36)}`;
      const response = await get(client, endpointLookup, [`ep=${name}`], timeoutMs, signal).catch(() => null);
      if (response?.code === CODE.NOT_FOUND) this.#isNothing = true;
      else if (response?.code === CODE.CONTENT && response.payload.length === 0) this.#isNothing = false;
    }
    return this.isNothing;
  }

  /** A query was answered with 4.04 by a lookup that is there. */
  noteProof(): void {
    this.#isNothing = true;
  }

  /**
   * Whether a lookup that answered 4.04 to a query is there all the same, so that the query matched nothing: it is asked for
   * anything at all. @throws {UpstreamError} when it does not answer.
   */
  async isThere(lookup: string, { client, timeoutMs, signal }: ProbeControl): Promise<boolean> {
    const nowMs = this.#env.clock.nowMs();
    if (nowMs - (this.#thereMs.get(lookup) ?? Number.NEGATIVE_INFINITY) <= RECENT_DISCOVERY_MS) return true;
    for (const query of [["count=1"], []]) {
      const response = await get(client, lookup, query, timeoutMs, signal);
      if (response.code === CODE.CONTENT && parseLinkFormatTolerantly(response.payload).links.length > 0) {
        this.#thereMs.set(lookup, nowMs);
        return true;
      }
      if (!deniesLookup(response.code)) return response.code === CODE.CONTENT;
    }
    return false;
  }
}
