import { CODE, type CoapClient } from "@tributary/coap-transport";
import { seededRandom } from "@tributary/runtime/testing";
import type { NatsCluster } from "../harness/nats-cluster.js";
import { rest } from "./devices.js";
import { type Instance, startInstance } from "./instances.js";

const SHORTEST_REST_MS = 1000;
const LONGEST_REST_MS = 4000;

/** An instance that keeps its address when it is started again. */
interface Seat {
  readonly name: string;
  readonly uri: string;
  readonly server: number;
  running: Instance | null;
}

/** The instances of a shared directory, any of which and any server is killed at random. */
export class RandomKills {
  readonly seats: readonly Seat[];
  readonly counts = { instances: 0, servers: 0 };
  /** Longest time without an answer to lookups of an instance that was running all the time, ms. */
  longestLookupMs = 0;
  lookups = 0;
  readonly failures: string[] = [];
  readonly #cluster: NatsCluster;
  readonly #random: () => number;

  constructor(cluster: NatsCluster, uris: readonly string[], seed: number) {
    this.#cluster = cluster;
    this.#random = seededRandom(seed);
    this.seats = uris.map((uri, server) => ({ name: `rd-${server + 1}`, uri, server, running: null }));
  }

  async start(): Promise<void> {
    await Promise.all(this.seats.map((seat) => this.#start(seat)));
  }

  /** Kills an instance, a server, or one of each, and starts them again; once and again until it is over. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const dice = this.#random();
      const seat = dice < 0.7 ? this.#any(this.seats) : undefined;
      const server = dice >= 0.4 ? this.#any(this.#cluster.servers) : undefined;
      const killed = [seat?.running?.kill(), server?.kill()];
      if (seat !== undefined) {
        seat.running = null;
        this.counts.instances++;
      }
      if (server !== undefined) this.counts.servers++;
      await Promise.all(killed);
      await this.#rest();
      await Promise.all([seat === undefined ? undefined : this.#start(seat), server?.start()]);
      await this.#rest();
    }
  }

  /** Asks an instance over and over, while it runs. */
  async ask(client: CoapClient, seat: Seat, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const asked = seat.running;
      const startMs = performance.now();
      if (asked !== null) {
        const query = ["ep=device-0"];
        const response = await client
          .request({ method: 1, uri: `${seat.uri}/rd-lookup/ep`, query }, { timeoutMs: 20_000 })
          .catch(() => undefined);
        if (seat.running === asked) {
          this.longestLookupMs = Math.max(this.longestLookupMs, performance.now() - startMs);
          this.lookups++;
          if (response?.code !== CODE.CONTENT)
            this.failures.push(`a lookup at ${seat.name}: ${response?.code ?? "no answer"}`);
        }
      }
      await rest(20);
    }
  }

  async #start(seat: Seat): Promise<void> {
    seat.running = await startInstance(this.#cluster, seat.name, seat.server, seat.uri);
  }

  #any<T>(things: readonly T[]): T {
    return things[Math.floor(this.#random() * things.length)] as T;
  }

  #rest(): Promise<void> {
    return rest(SHORTEST_REST_MS + this.#random() * (LONGEST_REST_MS - SHORTEST_REST_MS));
  }
}
