import { addressHolder, type CoapClient, METHOD, parseCoapUri, TransportError } from "@tributary/coap-transport";
import { HERE_ONLY_HOP_LIMIT } from "@tributary/replication";
import { addCount, type Environment } from "@tributary/runtime";
import { MAX_LINKS, MAX_RESPONSE_BYTES } from "../constants.js";
import { type RdResult, readRdResponse } from "./rd-response.js";
import { RequestBudget, type RequestRate } from "./request-budget.js";

/** Collaborators of `RdRequests`. */
export interface RdRequestsDeps {
  readonly client: Pick<CoapClient, "request">;
  readonly env: Environment;
}

/** A name that an RD is asked for. */
export interface AskedName {
  readonly name: string;
  /** Public key of the RD. */
  readonly announcer: Uint8Array;
  readonly timeoutMs: number;
  /** Whether it gave good responses lately. */
  readonly isProven: boolean;
}

/** What came of asking an RD. `limited`: it was not asked, because its host was asked too often.
 * `expired` and `too-large` may be the doing of an endpoint. */
export type RdOutcome =
  | { readonly kind: "found"; readonly result: RdResult }
  | { readonly kind: "empty" | "nonsense" | "silent" | "limited" | "expired" | "too-large" };

/** Hosts of which nobody knows whether there is an RD get few requests: their addresses may be those of somebody else. */
const UNPROVEN_RATE: RequestRate = { burst: 5, perSecond: 1 };
const PROVEN_RATE: RequestRate = { burst: 100, perSecond: 100 };
/** Addresses of one RD that are tried. */
const MAX_TRIED = 3;

/** Asks RDs whose addresses stood in records for what is registered there. */
export class RdRequests {
  /** Requests by outcome, see `RdOutcome`. Monotonic. */
  readonly outcomes = new Map<string, number>();
  readonly #deps: RdRequestsDeps;
  readonly #budget: RequestBudget;

  constructor(deps: RdRequestsDeps) {
    this.#deps = deps;
    this.#budget = new RequestBudget(deps.env.clock);
  }

  /** Asks one RD for the registrations of a name, at the first of its addresses that this host can send to. */
  async ask(uris: readonly string[], asked: AskedName): Promise<RdOutcome> {
    let outcome: RdOutcome = { kind: "silent" };
    for (const uri of uris.slice(0, MAX_TRIED)) {
      const { host } = parseCoapUri(uri);
      const isFree = this.#takeToken(addressHolder({ address: host }), asked.isProven);
      const tried = isFree ? await this.#askAt(uri, asked) : { kind: "limited" as const };
      if (tried === "unreachable") continue;
      outcome = tried;
      break;
    }
    addCount(this.outcomes, outcome.kind);
    return outcome;
  }

  /** Forgets which hosts were asked. */
  clear(): void {
    this.#budget.clear();
  }

  /** An RD that has proved itself begins with a full budget. */
  #takeToken(host: string, isProven: boolean): boolean {
    return isProven
      ? this.#budget.take(`proven ${host}`, PROVEN_RATE)
      : this.#budget.take(`unproven ${host}`, UNPROVEN_RATE);
  }

  async #askAt(uri: string, { name, announcer, timeoutMs }: AskedName): Promise<RdOutcome | "unreachable"> {
    const { client, env } = this.#deps;
    const request = {
      method: METHOD.GET,
      uri: `${uri}/rd-lookup/ep`,
      query: [`ep=${name}`, `count=${MAX_LINKS}`],
      // Its own registrations: it must not search the pool in turn.
      hopLimit: HERE_ONLY_HOP_LIMIT,
    };
    try {
      const response = await client.request(request, { timeoutMs, maxBodyBytes: MAX_RESPONSE_BYTES });
      const result = readRdResponse(response, { uri, name, announcer, nowS: env.clock.wallMs() / 1000 });
      if (result === null) return { kind: "nonsense" };
      if (result === "expired") return { kind: "expired" };
      return result.links.length === 0 ? { kind: "empty" } : { kind: "found", result };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      env.logger.debug("an RD of the pool did not respond", { uri, error: error.message });
      if (error.code === "UNREACHABLE") return "unreachable";
      if (error.code === "TOO_LARGE") return { kind: "too-large" };
      return { kind: error.code === "MALFORMED" ? "nonsense" : "silent" };
    }
  }
}
