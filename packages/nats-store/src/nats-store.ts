import { type KeyObject, randomUUID } from "node:crypto";
import type {
  RegistrationStore,
  SharedStore,
  StoreChange,
  StoredRegistration,
  StoreOperation,
  StoreOutcome,
} from "@tributary/resource-directory";
import type { Environment } from "@tributary/runtime";
import {
  APPLYING_PAUSE_MS,
  CATCH_UP_MS,
  DELIVERY_MS,
  END_JITTER_MS,
  GRACE_S,
  LOAD_PATIENCE_MS,
  MAX_MARKER_ATTEMPTS,
  REMOVAL_MEMORY_S,
  RETRY_PAUSE_MS,
  SUBMISSION_DEADLINE_MS,
} from "./constants.js";
import { GroupedSubmissions } from "./grouped-submissions.js";
import {
  decodeRegistration,
  encodeRegistration,
  endpointHash,
  locationOf,
  subjectOf,
  timeToLiveS,
} from "./registration-message.js";
import type { SharedStream, StreamMessage, Submission, SubmissionOutcome } from "./shared-stream.js";
import { StreamReader } from "./stream-reader.js";
import { StreamWatch } from "./stream-watch.js";

/** Figures of a shared store, for status and metrics. */
export interface SharedStoreFigures {
  /** Sequence of the last message that was applied. */
  readonly position: number;
  /** Messages of the stream that were not applied at the last probe. */
  readonly lag: number;
  readonly probes: { readonly succeeded: number; readonly failed: number };
  /** Submissions by outcome. Monotonic. */
  readonly submissions: ReadonlyMap<string, number>;
}

/** Collaborators of `SharedRegistrations`. */
export interface SharedRegistrationsDeps {
  readonly env: Environment;
  readonly stream: SharedStream;
  readonly epoch: number;
}

/** A store of registrations that several instances share by way of one stream (draft 4.1). */
export class SharedRegistrations implements RegistrationStore {
  readonly epoch: number;
  readonly shared: SharedStore;
  /** Records that could not be used, by cause. Monotonic. */
  readonly rejected = new Map<string, number>();
  readonly #deps: SharedRegistrationsDeps;
  readonly #reader: StreamReader;
  readonly #watch: StreamWatch;
  readonly #groups: GroupedSubmissions;
  readonly #submissions = new Map<string, number>();
  #isClosed = false;
  /** Asks for the end of the stream; requests that come while it is under way wait for the next one. */
  #catchingUp: Promise<boolean> | null = null;
  #nextCatchUp: Promise<boolean> | null = null;

  constructor(deps: SharedRegistrationsDeps) {
    const { env, stream, epoch } = deps;
    this.#deps = deps;
    this.epoch = epoch;
    this.#reader = new StreamReader({
      clock: env.clock,
      stream,
      toLocalMs: (streamMs) => this.#watch.toLocalMs(streamMs),
      onRejected: (cause, subject) => this.#reject(cause, subject),
    });
    this.#groups = new GroupedSubmissions({ clock: env.clock, stream });
    this.#watch = new StreamWatch({ env, stream, reader: this.#reader });
    this.shared = {
      locationOf: (endpoint) => locationOf(stream.secret, endpointHash(endpoint)),
      endJitterMs: END_JITTER_MS,
      catchUp: () => this.#catchUp(),
      health: () => this.#watch.health,
      onHealth: (listener) => this.#watch.onChange(listener),
    };
  }

  /** Figures for status and metrics. */
  figures(): SharedStoreFigures {
    const { delivered } = this.#reader;
    return { position: delivered, lag: this.#watch.lag, probes: this.#watch.probes, submissions: this.#submissions };
  }

  /** What paths follow from: a stream that is made with it gives the same ones. */
  get secret(): KeyObject {
    return this.#deps.stream.secret;
  }

  follow(consumer: (change: StoreChange) => void): void {
    this.#reader.consumer = consumer;
  }

  /** Everything comes as changes; this ends when those of before the start have been delivered. */
  load(): AsyncIterable<StoredRegistration> {
    return nothingAfter(this.#loaded());
  }

  async #loaded(): Promise<void> {
    const state = await this.#deps.stream.state();
    this.#watch.noteState(state);
    await this.#reader.start();
    while (!this.#isClosed) {
      const before = this.#reader.delivered;
      if (await this.#reader.until(state.lastSequence, LOAD_PATIENCE_MS)) break;
      // A consumer whose server has just elected a leader may stay silent.
      if (this.#reader.delivered === before) await this.#reader.restart();
    }
    this.#watch.start();
  }

  /** What is not in the memory of this instance is not read from the stream: an old answer would be no better than none. */
  get(): undefined {}

  /** The last change of the registration of an endpoint; undefined: there is none. Rejects without a response. */
  async current(endpoint: Pick<StoredRegistration, "ep" | "d">): Promise<StoreChange | undefined> {
    const { stream } = this.#deps;
    const last = await stream.last(subjectOf(stream.prefix, endpoint));
    return last === undefined ? undefined : this.#reader.changeOf(last);
  }

  /** Whether the servers would not take a registration, for its size. */
  isTooLarge(registration: StoredRegistration): boolean {
    return encodeRegistration(registration).length > this.#deps.stream.largestPayload();
  }

  async submit(operation: StoreOperation, expected: number | null): Promise<StoreOutcome> {
    const outcome = await this.#submit(operation, expected);
    this.#submissions.set(outcome.kind, (this.#submissions.get(outcome.kind) ?? 0) + 1);
    return outcome;
  }

  /** At most one request to the servers at a time, however many wait: what is unknown may be asked for by anybody. */
  #catchUp(): Promise<boolean> {
    if (this.#catchingUp === null) {
      this.#catchingUp = this.#readToEnd().finally(() => {
        this.#catchingUp = null;
      });
      return this.#catchingUp;
    }
    // The one under way may have asked before the change that matters.
    this.#nextCatchUp ??= this.#catchingUp.then(() => {
      this.#nextCatchUp = null;
      return this.#catchUp();
    });
    return this.#nextCatchUp;
  }

  /** Never rejects. */
  async #readToEnd(): Promise<boolean> {
    if (this.#watch.health.isAway) return false;
    const deadlineMs = this.#nowMs() + CATCH_UP_MS;
    const sequence = await this.#deps.stream.state().then(
      ({ lastSequence }) => lastSequence,
      () => undefined,
    );
    if (sequence === undefined) return false;
    let isDelivered = await this.#reader.until(sequence, DELIVERY_MS);
    while (!isDelivered && !this.#isClosed && this.#nowMs() < deadlineMs) {
      await this.#reader.restart();
      isDelivered = await this.#reader.until(sequence, 2 * DELIVERY_MS);
    }
    return isDelivered;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch.close();
    this.#groups.close();
    this.#reader.close();
    await this.#deps.stream.close();
  }

  async #submit(operation: StoreOperation, expected: number | null): Promise<StoreOutcome> {
    const deadlineMs = this.#nowMs() + SUBMISSION_DEADLINE_MS;
    const messageId = randomUUID();
    let known = expected ?? 0;
    for (let attempt = 1; ; attempt++) {
      if (!this.#watch.mayWrite())
        return { kind: "away", message: `the shared store is away: ${this.#watch.health.reason ?? ""}` };
      const submission = this.#submission(operation, known, messageId);
      const outcome = await this.#settle(submission, deadlineMs);
      if (outcome.kind === "stored") return this.#applied(outcome.sequence, deadlineMs);
      if (outcome.kind === "too-large") return { kind: "too-large" };
      if (outcome.kind === "unknown") return { kind: "unknown", message: outcome.message };
      const last = await this.#last(submission.subject, deadlineMs);
      if (last === "unknown") return { kind: "unknown", message: "the shared store does not respond" };
      // A first attempt without a response was stored after all.
      if (last?.messageId === submission.messageId) return this.#applied(last.sequence, deadlineMs);
      const sequence = last?.sequence ?? 0;
      // The servers refuse at once what stands against a write that they have not applied yet: it shows, or is dropped, in a moment.
      if (sequence === known && this.#nowMs() + APPLYING_PAUSE_MS < deadlineMs) {
        attempt--;
        await this.#pause(APPLYING_PAUSE_MS);
        continue;
      }
      const isOver = last === undefined || last.kind !== "put" || this.#isPast(last, operation.registration);
      // Where nothing was expected, what remains of a registration that is over is in no one's way.
      if (expected === null && isOver && sequence !== known && attempt < MAX_MARKER_ATTEMPTS) {
        known = sequence;
        continue;
      }
      await this.#reader.until(sequence, deadlineMs - this.#nowMs());
      return { kind: "conflict" };
    }
  }

  /** Submits until the outcome is known: the same message is taken once, however often it is sent. */
  async #settle(submission: Submission, deadlineMs: number): Promise<SubmissionOutcome> {
    const { stream } = this.#deps;
    for (let isFirst = true; ; isFirst = false) {
      // The servers refuse a group with a message that they have, and recognise it by itself.
      const outcome = await (isFirst ? this.#groups : stream).submit(submission);
      if (outcome.kind !== "unknown" || this.#isClosed || this.#nowMs() + RETRY_PAUSE_MS >= deadlineMs) return outcome;
      if (this.#watch.health.isAway) return outcome;
      await this.#pause();
    }
  }

  async #last(subject: string, deadlineMs: number) {
    for (;;) {
      try {
        return await this.#deps.stream.last(subject);
      } catch {
        if (this.#isClosed || this.#nowMs() + RETRY_PAUSE_MS >= deadlineMs) return "unknown";
        await this.#pause();
      }
    }
  }

  /** What is stored is acknowledged when it is shown here too. */
  async #applied(sequence: number, deadlineMs: number): Promise<StoreOutcome> {
    let isApplied = await this.#reader.until(sequence, DELIVERY_MS);
    while (!isApplied && !this.#isClosed && this.#nowMs() < deadlineMs) {
      await this.#reader.restart();
      isApplied = await this.#reader.until(sequence, 2 * DELIVERY_MS);
    }
    if (isApplied) {
      this.#watch.noteWritten();
      return { kind: "stored", position: sequence };
    }
    return { kind: "unknown", message: "it is stored, and does not arrive here" };
  }

  #submission({ kind, registration, ageMs = 0 }: StoreOperation, expected: number, messageId: string): Submission {
    const subject = subjectOf(this.#deps.stream.prefix, registration);
    const common = { subject, kind, expected, messageId };
    if (kind === "delete") return { ...common, payload: new Uint8Array(), ttlS: REMOVAL_MEMORY_S };
    if (kind === "end") {
      const ttlS = timeToLiveS(registration) - registration.ltS + GRACE_S;
      return { ...common, payload: encodeRegistration(registration), ttlS };
    }
    // What was renewed a while ago, and is written only now, ends no later for that.
    const ttlS = Math.max(GRACE_S, timeToLiveS(registration) - Math.floor(ageMs / 1000));
    return { ...common, payload: encodeRegistration(registration, ageMs), ttlS };
  }

  #pause(ms = RETRY_PAUSE_MS): Promise<void> {
    return new Promise((resolve) => this.#deps.env.clock.setTimer(ms, resolve));
  }

  /** Whether nobody shows a registration any more: its end was not reported yet, or it is damaged or that of another endpoint. */
  #isPast({ payload, timeMs }: StreamMessage, { id, ep, d }: StoredRegistration): boolean {
    const hash = endpointHash(d === undefined ? { ep } : { ep, d });
    const registration = decodeRegistration(payload, hash, { id, storedAtWallMs: this.#watch.toLocalMs(timeMs) });
    if (registration === undefined) return true;
    return registration.renewedAtWallMs + (timeToLiveS(registration) - GRACE_S) * 1000 <= this.#deps.env.clock.wallMs();
  }

  #reject(cause: string, subject: string): void {
    const count = (this.rejected.get(cause) ?? 0) + 1;
    this.rejected.set(cause, count);
    if (count === 1)
      this.#deps.env.logger.warn("a message of the shared store cannot be used and is left out", { cause, subject });
  }

  #nowMs(): number {
    return this.#deps.env.clock.nowMs();
  }
}

/** Ends when `done` is resolved. */
async function* nothingAfter(done: Promise<void>): AsyncGenerator<never> {
  await done;
  yield* [];
}
