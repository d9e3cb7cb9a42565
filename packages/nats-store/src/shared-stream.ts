import type { KeyObject } from "node:crypto";

/** A message of the stream. */
export interface StreamMessage {
  /** Place in the stream. */
  readonly sequence: number;
  readonly subject: string;
  /** Time at which the stream took it, ms since the Unix epoch by the clock of its leader. */
  readonly timeMs: number;
  /** As submitted; `marker`: the servers' own, for a message whose time was over. */
  readonly kind: "put" | "end" | "delete" | "marker" | "other";
  readonly payload: Uint8Array;
  readonly messageId: string;
}

/** A message to be added. */
export interface Submission {
  readonly subject: string;
  readonly kind: "put" | "end" | "delete";
  readonly payload: Uint8Array;
  /** Time after which the servers forget it, s. */
  readonly ttlS: number;
  /** Sequence of the last message of the subject; 0: there is none. */
  readonly expected: number;
  /** The same for all attempts to submit it. */
  readonly messageId: string;
}

/** What became of one attempt. */
export type SubmissionOutcome =
  | { readonly kind: "stored"; readonly sequence: number }
  /** The last message of the subject is another one. */
  | { readonly kind: "conflict" }
  /** The message is larger than the servers take. */
  | { readonly kind: "too-large" }
  /** No response: it may have been stored. */
  | { readonly kind: "unknown"; readonly message: string };

/** What became of one attempt to submit several messages at once. */
export type GroupOutcome =
  /** All of them, one after the other; the sequence is that of the last one. */
  | { readonly kind: "stored"; readonly lastSequence: number }
  /** None was stored, because one of them, or all together, cannot be. */
  | { readonly kind: "refused" }
  /** No response: all of them may have been stored, or none. */
  | { readonly kind: "unknown"; readonly message: string };

/** State of the stream, by its leader. */
export interface StreamState {
  /** Time of creation, as text: tells one stream from another of its name. */
  readonly created: string;
  /** 1 unless the stream was emptied: its first message is the secret, which stays. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Time of the leader, ms since the Unix epoch, and the local one at which it is thought to be valid. */
  readonly timeMs: number;
  readonly localTimeMs: number;
}

/** What a shared store needs of a stream that keeps the last message of each subject. */
export interface SharedStream {
  readonly prefix: string;
  /** Time of creation when it was opened. */
  readonly created: string;
  /** Secret of the instances, for paths that cannot be guessed. */
  readonly secret: KeyObject;
  /** Largest payload that the servers take, bytes. */
  largestPayload(): number;
  /** Adds a message, if the last one of its subject is the expected one. Never rejects. */
  submit(submission: Submission): Promise<SubmissionOutcome>;
  /** Adds messages of different subjects, all or none, under the same condition for each. Never rejects. */
  submitTogether(submissions: readonly Submission[]): Promise<GroupOutcome>;
  /** The last message of a subject, possibly an old one; undefined: there is none. Rejects without a response. */
  last(subject: string): Promise<StreamMessage | undefined>;
  /** Delivers messages in order, from `sequence` on, until the returned function is called. Rejects without a response. */
  follow(sequence: number, onMessage: (message: StreamMessage) => void): Promise<() => void>;
  /** Rejects without a response. */
  state(): Promise<StreamState>;
  /** Resolves when a write was acknowledged that does not concern the stream. Rejects otherwise. */
  probe(): Promise<void>;
  /** Adds a message that says nothing, and resolves with its sequence. Rejects without a response. */
  touch(): Promise<number>;
  /** Ends the connection. */
  close(): Promise<void>;
}
