import { createHash } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { atEnd } from "../peers/peers.js";
import { rest } from "./devices.js";

/** Pause between two writes, and time for one, ms. */
const WRITE_PAUSE_MS = 50;
const WRITE_TIMEOUT_MS = 500;

/**
 * Looks at the stream of a shared directory without the code under test: how long the servers themselves take no writes, and what is
 * written of each registration.
 */
export class EngineWatch {
  /** Longest time between two acknowledged writes of this watch, ms. */
  longestPauseMs = 0;
  readonly failures: string[] = [];
  /** Ends of lifetimes, by endpoint name. */
  readonly ends = new Map<string, number>();
  readonly #stream: string;
  #connections: readonly NatsConnection[] = [];
  /** The last message of each registration, with the number of unseen ones at that time. */
  readonly #last = new Map<string, { readonly kind: string; readonly unseen: number }>();
  /** What arrived, by sequence: several consumers, of which one or the other is interrupted, see everything together. */
  readonly #pending = new Map<number, Written>();
  #next = 0;
  #unseen = 0;

  private constructor(stream: string) {
    this.#stream = stream;
  }

  /** What the stream has of an endpoint at the end: the kind of its last message; undefined: nothing. */
  async lastKind(ep: string): Promise<string | undefined> {
    const subject = `${this.#stream}.reg.${hashOf(ep)}`;
    const [connection] = this.#connections;
    if (connection === undefined) return undefined;
    const jsm = await jetstreamManager(connection);
    const last = await jsm.streams.getMessage(this.#stream, { last_by_subj: subject }).catch(() => null);
    if (last === null) return undefined;
    return (last.header?.get("Nats-Marker-Reason") ?? "") === "" ? last.header?.get("Tributary-Kind") : "marker";
  }

  /** Begins to look at a stream that is there, at all servers. */
  static async start(stream: string, servers: readonly string[]): Promise<EngineWatch> {
    const watch = new EngineWatch(stream);
    const connections = await Promise.all(servers.map((server) => connectTo(server, servers)));
    watch.#connections = connections;
    const [first] = connections;
    if (first === undefined) throw new Error("no servers");
    let isOver = false;
    atEnd(async () => {
      isOver = true;
      await Promise.all(connections.map((connection) => connection.close().catch(() => undefined)));
    });
    for (const connection of connections) await watch.#follow(connection);
    void watch.#write(first, () => isOver);
    return watch;
  }

  /** Takes what has arrived; what is missing before it will not come any more. */
  settle(): void {
    for (const sequence of [...this.#pending.keys()].sort((a, b) => a - b)) {
      if (this.#next > 0) this.#unseen += sequence - this.#next;
      this.#apply(this.#pending.get(sequence) as Written);
      this.#pending.delete(sequence);
      this.#next = sequence + 1;
    }
  }

  async #follow(connection: NatsConnection): Promise<void> {
    const consumer = await jetstream(connection).consumers.get(this.#stream, { deliver_policy: "all" } as object);
    await consumer.consume({
      idle_heartbeat: 1000,
      expires: 2000,
      callback: ({ seq, subject, headers, data }) => {
        if (seq < this.#next) return;
        const isMarker = (headers?.get("Nats-Marker-Reason") ?? "") !== "";
        const kind = isMarker ? "marker" : (headers?.get("Tributary-Kind") ?? "");
        this.#pending.set(seq, { subject, kind, ep: endpointOf(data) });
      },
    });
  }

  async #write(connection: NatsConnection, isOver: () => boolean): Promise<void> {
    const js = jetstream(connection, { timeout: WRITE_TIMEOUT_MS });
    let lastMs = performance.now();
    while (!isOver()) {
      const isTaken = await js
        .publish(`${this.#stream}.meta.watch`, new Uint8Array(), { timeout: WRITE_TIMEOUT_MS, retries: 1 })
        .then(() => true)
        .catch(() => false);
      const nowMs = performance.now();
      if (isTaken) {
        this.longestPauseMs = Math.max(this.longestPauseMs, nowMs - lastMs);
        lastMs = nowMs;
      }
      await rest(WRITE_PAUSE_MS);
    }
  }

  #apply({ subject, kind, ep }: Written): void {
    if (!subject.startsWith(`${this.#stream}.reg.`)) return;
    const before = this.#last.get(subject);
    // What was superseded before anybody here got it may have come in between.
    const isNext = before?.unseen === this.#unseen;
    if (kind === "end") {
      this.ends.set(ep, (this.ends.get(ep) ?? 0) + 1);
      if (isNext && before.kind === "end") this.failures.push(`${ep} ended twice`);
    }
    if (kind === "marker" && isNext && before.kind === "put")
      this.failures.push(`${subject} was forgotten before its end`);
    this.#last.set(subject, { kind, unseen: this.#unseen });
  }
}

interface Written {
  readonly subject: string;
  readonly kind: string;
  readonly ep: string;
}

/** The last part of the subject of an endpoint without sector. */
function hashOf(ep: string): string {
  return createHash("sha256")
    .update(JSON.stringify([ep]))
    .digest("hex")
    .slice(0, 32);
}

function connectTo(server: string, servers: readonly string[]): Promise<NatsConnection> {
  return connect({
    servers: [server, ...servers.filter((one) => one !== server)],
    noRandomize: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 0,
  });
}

function endpointOf(payload: Uint8Array): string {
  if (payload.length === 0) return "";
  try {
    return String((JSON.parse(new TextDecoder().decode(payload)) as { ep?: unknown }).ep);
  } catch {
    return "";
  }
}
