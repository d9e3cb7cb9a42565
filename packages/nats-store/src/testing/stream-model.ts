import { createSecretKey } from "node:crypto";
import type { Clock, Random } from "@tributary/runtime";
import type {
  GroupOutcome,
  SharedStream,
  StreamMessage,
  StreamState,
  Submission,
  SubmissionOutcome,
} from "../shared-stream.js";

/** Time of one request and its response, ms. */
const REQUEST_MS = 4;
/** Time after which a request without a response is given up, ms. */
const TIMEOUT_MS = 2000;

type Unknown = { readonly kind: "unknown"; readonly message: string };

/** What can go wrong between an instance and the stream. */
export interface InstanceFaults {
  /** Nothing is answered or delivered. */
  isCutOff: boolean;
  /** Share of submissions that are stored and not answered. */
  lostResponses: number;
  /** The stream that probes are written to has no leader. */
  isProbeLost?: boolean;
}

/** A stream in virtual time: linearizable, with the last message of each subject, and with the faults that real servers have. */
export class StreamModel {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #messages = new Map<string, StreamMessage>();
  readonly #ends = new Map<string, number>();
  readonly #byMessageId = new Map<string, number>();
  readonly #followers = new Set<Follower>();
  #sequence = 0;
  #created = 1;
  #first = 1;
  /** Until when the servers apply a write to a subject that nobody sees yet, ms. */
  readonly #applying = new Map<string, number>();
  /** All messages that were ever stored, in order. */
  readonly history: StreamMessage[] = [];

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Place of the last message that was ever stored. */
  get lastSequence(): number {
    return this.#sequence;
  }

  /** The stream as one instance reaches it; `localMs`: the wall clock of that instance. */
  connect(faults: InstanceFaults, localMs = () => this.#clock.wallMs()): SharedStream {
    const created = this.#createdText;
    const answered = async <T>(work: () => T): Promise<T> => {
      await this.#pass(REQUEST_MS);
      if (!faults.isCutOff) return work();
      await this.#pass(TIMEOUT_MS);
      throw new Error("timeout");
    };
    /** What is stored, with its response or without. */
    const unlessLost = async <T>(work: () => T): Promise<T | Unknown> => {
      await this.#pass(REQUEST_MS);
      const outcome = faults.isCutOff ? undefined : work();
      if (outcome !== undefined && this.#random() >= faults.lostResponses) return outcome;
      await this.#pass(TIMEOUT_MS);
      return { kind: "unknown", message: "timeout" };
    };
    return {
      prefix: "rd",
      created,
      secret: createSecretKey(new Uint8Array(32)),
      largestPayload: () => 1_000_000,
      submit: (submission) => unlessLost<SubmissionOutcome>(() => this.#store(submission)),
      submitTogether: (submissions) => unlessLost<GroupOutcome>(() => this.#storeAll(submissions)),
      last: (subject) => answered(() => this.#current(subject)),
      follow: (sequence, onMessage) =>
        answered(() => {
          const follower = new Follower(sequence, faults, onMessage);
          this.#followers.add(follower);
          void this.#deliver(follower);
          return () => void this.#followers.delete(follower);
        }),
      state: () => answered(() => ({ ...this.#state(), localTimeMs: localMs() })),
      touch: () =>
        answered(() => {
          this.#append({ subject: "rd.meta.back", kind: "other", payload: new Uint8Array(), messageId: "" });
          return this.#sequence;
        }),
      probe: async () => {
        await answered(() => undefined);
        if (faults.isProbeLost !== true) return;
        await this.#pass(TIMEOUT_MS);
        throw new Error("timeout");
      },
      close: async () => {},
    };
  }

  /** Somebody deletes the stream and makes it again. */
  recreate(): void {
    this.#created++;
    this.#messages.clear();
    this.#sequence = 0;
  }

  /** The stream is restored from an older state. */
  goBack(messages: number): void {
    this.#sequence = Math.max(0, this.#sequence - messages);
    for (const [subject, { sequence }] of this.#messages) if (sequence > this.#sequence) this.#messages.delete(subject);
  }

  /** Somebody removes all messages; the stream goes on counting. */
  empty(): void {
    this.#messages.clear();
    this.#first = this.#sequence + 1;
  }

  /** The servers are about to apply a write to a subject, and drop it in the end. */
  holdUp(subject: string, ms: number): void {
    this.#applying.set(subject, this.#clock.nowMs() + ms);
  }

  /** The time of the last message of a subject is over: the servers put a marker in its place. */
  expire(subject: string): void {
    this.#append({ subject, kind: "marker", payload: new Uint8Array(), messageId: "" });
  }

  /** Stores whatever a foreign writer sends. */
  inject(subject: string, payload: Uint8Array, kind: StreamMessage["kind"] = "put"): void {
    this.#append({ subject, kind, payload, messageId: "" });
  }

  get #createdText(): string {
    return `2026-01-0${this.#created}T00:00:00Z`;
  }

  #state(): StreamState {
    const nowMs = this.#clock.wallMs();
    const sequences = { firstSequence: this.#first, lastSequence: this.#sequence };
    return { created: this.#createdText, ...sequences, timeMs: nowMs, localTimeMs: nowMs };
  }

  #current(subject: string): StreamMessage | undefined {
    const endMs = this.#ends.get(subject) ?? Number.POSITIVE_INFINITY;
    if (endMs <= this.#clock.wallMs() && this.#messages.get(subject)?.kind !== "marker") this.expire(subject);
    return this.#messages.get(subject);
  }

  #store({ subject, kind, payload, ttlS, expected, messageId }: Submission): SubmissionOutcome {
    const known = this.#byMessageId.get(messageId);
    if (known !== undefined) return { kind: "stored", sequence: known };
    if ((this.#applying.get(subject) ?? 0) > this.#clock.nowMs()) return { kind: "conflict" };
    if ((this.#current(subject)?.sequence ?? 0) !== expected) return { kind: "conflict" };
    this.#append({ subject, kind, payload, messageId });
    this.#ends.set(subject, this.#clock.wallMs() + ttlS * 1000);
    this.#byMessageId.set(messageId, this.#sequence);
    return { kind: "stored", sequence: this.#sequence };
  }

  /** All or none. Real servers refuse a group with a message that they have already, instead of recognising it. */
  #storeAll(submissions: readonly Submission[]): GroupOutcome {
    const nowMs = this.#clock.nowMs();
    const isRefused = submissions.some(
      ({ subject, expected, messageId }) =>
        this.#byMessageId.has(messageId) ||
        (this.#applying.get(subject) ?? 0) > nowMs ||
        (this.#current(subject)?.sequence ?? 0) !== expected,
    );
    if (isRefused) return { kind: "refused" };
    for (const submission of submissions) this.#store(submission);
    return { kind: "stored", lastSequence: this.#sequence };
  }

  #append(message: Pick<StreamMessage, "subject" | "kind" | "payload" | "messageId">): void {
    const stored = { ...message, sequence: ++this.#sequence, timeMs: this.#clock.wallMs() };
    this.#ends.delete(message.subject);
    this.#messages.set(message.subject, stored);
    this.history.push(stored);
    for (const follower of this.#followers) void this.#deliver(follower);
  }

  async #deliver(follower: Follower): Promise<void> {
    if (follower.isDelivering) return;
    follower.isDelivering = true;
    await this.#pass(REQUEST_MS);
    follower.isDelivering = false;
    if (follower.faults.isCutOff) return;
    const due = [...this.#messages.values()].filter(({ sequence }) => sequence >= follower.next);
    for (const message of due.sort((one, other) => one.sequence - other.sequence)) {
      if (!this.#followers.has(follower)) return;
      follower.next = message.sequence + 1;
      follower.onMessage(message);
    }
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(ms * (0.5 + this.#random()), resolve));
  }
}

class Follower {
  next: number;
  isDelivering = false;
  readonly faults: InstanceFaults;
  readonly onMessage: (message: StreamMessage) => void;

  constructor(next: number, faults: InstanceFaults, onMessage: (message: StreamMessage) => void) {
    this.next = next;
    this.faults = faults;
    this.onMessage = onMessage;
  }
}
