import type { KeyObject } from "node:crypto";
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection, nuid } from "@nats-io/transport-node";
import type { Clock } from "@tributary/runtime";
import { DUPLICATE_WINDOW_MS, HEARTBEAT_MS, PULL_MS, REMOVAL_MEMORY_S, REQUEST_TIMEOUT_MS } from "./constants.js";
import type {
  GroupOutcome,
  SharedStream,
  StreamMessage,
  StreamState,
  Submission,
  SubmissionOutcome,
} from "./shared-stream.js";

/** Header with what a message says of its registration. */
const KIND = "Tributary-Kind";
/** Headers of the servers (NATS architecture decision records 8, 43 and 50). */
const MARKER_REASON = "Nats-Marker-Reason";
const MESSAGE_ID = "Nats-Msg-Id";
const TIME_TO_LIVE = "Nats-TTL";
const EXPECTED = "Nats-Expected-Last-Subject-Sequence";
const BATCH_ID = "Nats-Batch-Id";
const BATCH_PLACE = "Nats-Batch-Sequence";
const BATCH_COMMIT = "Nats-Batch-Commit";
const NS_PER_MS = 1_000_000;
/** Messages asked for at once while the stream is followed. */
const MESSAGES_AT_ONCE = 500;

/** Collaborators of `NatsStream`. */
export interface NatsStreamDeps {
  readonly clock: Clock;
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Name of the stream, and first token of its subjects. */
  readonly name: string;
  /** Names this instance among those that probe. */
  readonly instance: string;
}

/** The settings of the stream with the registrations. Pure. */
export function streamConfig(name: string, replicas: number): Partial<StreamConfig> & { name: string } {
  return {
    name,
    subjects: [`${name}.reg.*`, `${name}.meta.*`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    allow_msg_ttl: true,
    subject_delete_marker_ttl: REMOVAL_MEMORY_S * 1000 * NS_PER_MS,
    duplicate_window: DUPLICATE_WINDOW_MS * NS_PER_MS,
    allow_direct: true,
    allow_atomic: true,
    deny_delete: true,
  };
}

/** The settings of the stream that probes are written to: they use up no positions of the other one. Pure. */
export function probeConfig(name: string, replicas: number): Partial<StreamConfig> & { name: string } {
  return {
    name: `${name}-probe`,
    subjects: [`${name}-probe.*`],
    storage: StorageType.File,
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    max_age: 3_600_000 * NS_PER_MS,
  };
}

/** A stream of JetStream, with the last message of each subject. */
export class NatsStream implements SharedStream {
  readonly prefix: string;
  readonly created: string;
  readonly secret: KeyObject;
  readonly #deps: NatsStreamDeps;

  constructor(deps: NatsStreamDeps, stream: { readonly created: string; readonly secret: KeyObject }) {
    this.#deps = deps;
    this.prefix = deps.name;
    this.created = stream.created;
    this.secret = stream.secret;
  }

  largestPayload(): number {
    return (this.#deps.connection.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADER_ROOM;
  }

  async submit({ subject, kind, payload, ttlS, expected, messageId }: Submission): Promise<SubmissionOutcome> {
    const { js } = this.#deps;
    if (payload.length > this.largestPayload()) return { kind: "too-large" };
    const fields = headers();
    fields.set(KIND, kind);
    try {
      const { seq } = await js.publish(subject, payload, {
        headers: fields,
        msgID: messageId,
        ttl: `${ttlS}s`,
        expect: { lastSubjectSequence: expected },
        timeout: REQUEST_TIMEOUT_MS,
        retries: 1,
      });
      return { kind: "stored", sequence: seq };
    } catch (error) {
      return outcomeOf(error);
    }
  }

  async submitTogether(submissions: readonly Submission[]): Promise<GroupOutcome> {
    const { connection } = this.#deps;
    const batch = nuid.next();
    try {
      let response: Promise<{ json<T>(): T }> | undefined;
      for (const [at, submission] of submissions.entries()) {
        const { subject, payload } = submission;
        const fields = groupHeaders(submission, batch, at + 1);
        if (at + 1 < submissions.length) connection.publish(subject, payload, { headers: fields });
        else {
          fields.set(BATCH_COMMIT, "1");
          response = connection.request(subject, payload, { headers: fields, timeout: REQUEST_TIMEOUT_MS });
        }
      }
      const taken = (await response)?.json<{
        readonly seq?: number;
        readonly count?: number;
        readonly error?: unknown;
      }>();
      if (taken?.error !== undefined) return { kind: "refused" };
      if (typeof taken?.seq !== "number" || taken.count !== submissions.length)
        return { kind: "unknown", message: "the servers gave no sequence" };
      return { kind: "stored", lastSequence: taken.seq };
    } catch (error) {
      return { kind: "unknown", message: error instanceof Error ? error.message : String(error) };
    }
  }

  async last(subject: string): Promise<StreamMessage | undefined> {
    // Not a direct get, which a server answers that may be behind (it is cut off, or has only just come back).
    try {
      const stored = await this.#deps.jsm.streams.getMessage(this.prefix, { last_by_subj: subject });
      if (stored === null) return undefined;
      const { seq, subject: of, data, header: fields, time } = stored;
      return messageOf({ seq, subject: of, data, fields, timeMs: time.getTime() });
    } catch (error) {
      if (codeOf(error) === JetStreamApiCodes.NoMessageFound) return undefined;
      throw error;
    }
  }

  async follow(sequence: number, onMessage: (message: StreamMessage) => void): Promise<() => void> {
    const consumer = await this.#deps.js.consumers.get(this.prefix, {
      deliver_policy: "by_start_sequence",
      opt_start_seq: sequence,
    });
    const messages = await consumer.consume({
      max_messages: MESSAGES_AT_ONCE,
      expires: PULL_MS,
      idle_heartbeat: HEARTBEAT_MS,
      callback: ({ seq, subject, data, headers: fields, timestampNanos }) => {
        onMessage(messageOf({ seq, subject, data, fields, timeMs: Number(timestampNanos / 1000n) / 1000 }));
      },
    });
    return () => messages.stop();
  }

  async state(): Promise<StreamState> {
    const { clock, jsm } = this.#deps;
    const askedAtMs = clock.wallMs();
    const info = (await jsm.streams.info(this.prefix)) as StreamInfo & { readonly ts?: string };
    const localTimeMs = (askedAtMs + clock.wallMs()) / 2;
    const timeMs = info.ts === undefined ? localTimeMs : Date.parse(info.ts);
    const { first_seq: firstSequence, last_seq: lastSequence } = info.state;
    return { created: String(info.created), firstSequence, lastSequence, timeMs, localTimeMs };
  }

  async probe(): Promise<void> {
    const { js, instance } = this.#deps;
    await js.publish(`${this.prefix}-probe.${instance}`, new Uint8Array(), { timeout: REQUEST_TIMEOUT_MS, retries: 1 });
  }

  async touch(): Promise<number> {
    const { js, instance } = this.#deps;
    const options = { timeout: REQUEST_TIMEOUT_MS, retries: 1 };
    return (await js.publish(`${this.prefix}.meta.back-${instance}`, new Uint8Array(), options)).seq;
  }

  async close(): Promise<void> {
    await this.#deps.connection.close();
  }
}

/** Headers of one of several messages that are stored together (NATS architecture decision record 50). */
function groupHeaders({ kind, ttlS, expected, messageId }: Submission, batch: string, place: number): MsgHdrs {
  const fields = headers();
  fields.set(KIND, kind);
  fields.set(MESSAGE_ID, messageId);
  fields.set(TIME_TO_LIVE, `${ttlS}s`);
  fields.set(EXPECTED, String(expected));
  fields.set(BATCH_ID, batch);
  fields.set(BATCH_PLACE, String(place));
  return fields;
}

/** Room for the headers of a message, bytes. */
const HEADER_ROOM = 1024;

interface RawMessage {
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly fields: MsgHdrs | undefined;
  readonly timeMs: number;
}

function messageOf({ seq, subject, data, fields, timeMs }: RawMessage): StreamMessage {
  const kind = fields?.get(KIND) ?? "";
  const isMarker = (fields?.get(MARKER_REASON) ?? "") !== "";
  return {
    sequence: seq,
    subject,
    timeMs,
    kind: isMarker ? "marker" : kind === "put" || kind === "end" || kind === "delete" ? kind : "other",
    payload: data,
    messageId: fields?.get(MESSAGE_ID) ?? "",
  };
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

function outcomeOf(error: unknown): SubmissionOutcome {
  const code = codeOf(error);
  if (code === JetStreamApiCodes.StreamWrongLastSequence || code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
    return { kind: "conflict" };
  if (code === MAXIMUM_MESSAGE_SIZE) return { kind: "too-large" };
  return { kind: "unknown", message: error instanceof Error ? error.message : String(error) };
}

/** Error code of the servers: a message is larger than the stream takes. */
const MAXIMUM_MESSAGE_SIZE = 10054;
