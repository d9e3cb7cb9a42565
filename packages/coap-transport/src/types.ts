import type { Environment } from "@tributary/runtime";

/** A CoAP option as on the wire. */
export interface CoapOption {
  readonly number: number;
  readonly value: Uint8Array;
}

/** The other side of an exchange. */
export interface Peer {
  /** Text that is equal exactly for equal peers (transport, address, zone, port). */
  readonly key: string;
  readonly transport: "udp" | "tcp" | "tls";
  /** IP literal without brackets and without zone. IPv4-mapped IPv6 addresses are given as IPv4. */
  readonly address: string;
  /** Zone of a link-local IPv6 address (an interface name or index), else absent. */
  readonly zone?: string;
  readonly port: number;
  /** Own address that it spoke to, zone included, where that is known: datagrams to it leave from there. */
  readonly local?: string;
}

/** An address and port of this host that peers speak to. */
export interface LocalAddress {
  readonly address: string;
  readonly port: number;
  /** Whether the same listener is reached at this address, an IP literal without zone, as well. Absent: at none. */
  readonly isAlso?: (address: string) => boolean;
}

/**
 * What is known of a source address. `trusted` by configuration, or by a transport that proves it · `fresh` this very
 * request carries an Echo value made for its sender lately (RFC 9175 section 2.3) · `seen` an earlier one did · `none`.
 */
export type SourceProof = "trusted" | "fresh" | "seen" | "none";

/**
 * A connection that a peer made to this server (RFC 8323), for requests in the other direction, also long after the request that it
 * is a part of. Errors are those of `CoapClient`; once the connection is over, UNREACHABLE.
 */
export interface PeerConnection {
  readonly peer: Peer;
  /** Scheme and authority of the peer, which the URIs of `request` and `observe` begin with. */
  readonly origin: string;
  readonly isOpen: boolean;
  request(request: ClientRequest, control?: RequestControl): Promise<ClientResponse>;
  observe(request: ClientRequest, listener: ObservationListener, control?: ObservationControl): Observation;
  /**
   * Keeps the connection although nothing is under way: it is not released as idle, and a silent peer is pinged (RFC 8323 section
   * 5.4). Returns the function that gives it up.
   */
  hold(): () => void;
  /** Calls `listener` once when the connection is over; soon, when it is over already. Returns the unsubscribe function. */
  onClosed(listener: () => void): () => void;
  /** Ends the connection in good order. */
  release(): void;
}

/** Conditions of a request (RFC 7252 section 5.10.8). */
export interface Precondition {
  /** Values of If-Match; an empty value stands for any representation; none: the option is absent. */
  readonly ifMatch: readonly Uint8Array[];
  readonly ifNoneMatch: boolean;
}

/**
 * Sends a request to a peer from the address and port that it spoke to, or by its connection. The URI of the request is one
 * of the peer's address. Errors are those of `CoapClient.request`.
 */
export type AskPeer = (peer: Peer, request: ClientRequest, control?: RequestControl) => Promise<ClientResponse>;

/** A complete request as a handler sees it: block-wise transfer, deduplication and option checks are done. */
export interface ServerRequest {
  /** Request code, 0.01 to 0.07; see METHOD. */
  readonly method: number;
  /** Decoded Uri-Path segments, e.g. `["rd"]`; `["reg", ""]` has a trailing slash; `[]` is the root. */
  readonly path: readonly string[];
  /** Decoded Uri-Query items in order; percent signs are literal (RFC 7252 section 5.10.1). */
  readonly query: readonly string[];
  readonly uriHost?: string;
  readonly uriPort?: number;
  readonly accept?: number;
  readonly contentFormat?: number;
  readonly etags: readonly Uint8Array[];
  /** 0 register, 1 deregister, absent: plain request (RFC 7641). */
  readonly observe?: number;
  readonly echo?: Uint8Array;
  /** What is known of the source address (RFC 9175 section 2.4); absent: nobody looked. */
  readonly sourceProof?: SourceProof;
  readonly hopLimit?: number;
  /** If-Match and If-None-Match; absent: the request is unconditional. See `RequestHandler.evaluatesPreconditions`. */
  readonly precondition?: Precondition;
  readonly payload: Uint8Array;
  /** Every option as received, for forwarding and rare options. */
  readonly options: readonly CoapOption[];
  readonly peer: Peer;
  /** True when the request was sent to a multicast address: errors and empty results are then suppressed by the transport. */
  readonly isMulticast: boolean;
  /** Scheme of this listener, e.g. `coap`. */
  readonly scheme: string;
  /** The address that the peer spoke to, or that the listener is bound to where that is not known. */
  readonly local: LocalAddress;
  /** Asks the sender of this request something. Absent: it can be asked like any other host only. */
  readonly askPeer?: AskPeer;
  /** The connection that it came by; absent over datagrams. */
  readonly connection?: PeerConnection;
}

/** What a handler answers. The transport adds token, message id, Block2, Observe and Size2. */
export interface ServerResponse {
  /** Response code as one byte, e.g. CODE.CONTENT. */
  readonly code: number;
  readonly contentFormat?: number;
  readonly etag?: Uint8Array;
  /** Seconds. Absent means the protocol default of 60. */
  readonly maxAgeS?: number;
  readonly locationPath?: readonly string[];
  readonly locationQuery?: readonly string[];
  readonly echo?: Uint8Array;
  /**
   * Add an Echo value made for the client: a challenge in a 4.01, in other answers one that spares the next request the
   * challenge (RFC 9175 section 2.3). Without effect where source addresses are not looked at.
   */
  readonly issuesEcho?: boolean;
  readonly options?: readonly CoapOption[];
  readonly payload?: Uint8Array;
  /** `payload` is only the beginning of the body, and the rest is made as it is asked for. Needs an `etag`. */
  readonly rest?: UnfinishedBody;
  /** Present on the 2.xx answer to an Observe 0 request when the observation is accepted. */
  readonly observation?: ObservationSource;
  /**
   * The same answer would be given to the same request by anybody, for some time. Called at most once, right after the
   * handler returned, when the transport wants to remember it; null: it is not worth it after all.
   */
  readonly lasting?: () => AnswerLife | null;
  /**
   * The request is idempotent, and this says whether what the response reports is still so. Once it is not, a message like the
   * request is executed again instead of getting this response again (RFC 7252 section 4.5). Absent: a duplicate gets the
   * same response for EXCHANGE_LIFETIME.
   */
  readonly isStillTrue?: (sender: { readonly hasChangedMore: boolean }) => boolean;
}

/** A body that is made as it is sent: its first block leaves before the last one exists (RFC 7959 section 2.4). */
export interface UnfinishedBody {
  /**
   * The body so far, from its beginning: at least `bytes` long, or whole. A promise where making it takes several turns of the event
   * loop. Throws what keeps it from being made.
   */
  upTo(bytes: number): Uint8Array | Promise<Uint8Array>;
}

/** How long an answer holds. */
export interface AnswerLife {
  /** It does not hold any more, and never will again. */
  readonly isOver: boolean;
  /** Whether it holds at this moment. Only asked while it is not over. */
  holds(): boolean;
  /** It was given once more. */
  given(): void;
  /** It is not remembered any more. */
  end(): void;
}

/** Made by a handler to accept an observation; `attach` is called once, right after the first response was sent. */
export interface ObservationSource {
  /** Adds an observer of the resource. */
  attach(observer: Observer): ObservedResource;
}

/** The transport's side of an observation. */
export interface Observer {
  readonly peer: Peer;
  /** There may be something new: `next()` is called as soon as the previous notification was acknowledged. Cheap; coalesces. */
  wake(): void;
  /** End the observation, with a final error notification when given (RFC 7641 section 4.2). */
  end(final?: ServerResponse): void;
}

/** The resource's side of an observation. One notification is under way at a time (RFC 7252 NSTART = 1). */
export interface ObservedResource {
  /** The representation to send now, or null when nothing is new after all. Called again after each delivery until null. */
  next(): ServerResponse | null | Promise<ServerResponse | null>;
  /** The last notification was acknowledged by the observer. */
  delivered?(): void;
  /** The observation is over; nothing is called afterwards. */
  closed?(reason: ObservationEnd): void;
}

/** Why an observation by a client ended. */
export type ObservationEnd = "deregistered" | "replaced" | "reset" | "timeout" | "ended" | "closed";

/** A function that responds to requests. */
export interface RequestHandler {
  (request: ServerRequest): ServerResponse | Promise<ServerResponse>;
  /**
   * The handler evaluates `ServerRequest.precondition` of requests that change something. Such requests to any other handler are
   * answered with 4.02: a condition is never accepted without effect. Conditions of safe requests are evaluated by the transport.
   */
  readonly evaluatesPreconditions?: boolean;
  /**
   * Whether the handler passes a request on to another server, as a proxy does: critical options that are not understood and are
   * safe to forward (RFC 7252 section 5.4.2) are that server's business, and not refused here. Absent: it does not.
   */
  readonly relays?: (request: ServerRequest) => boolean;
}

/** A request that this node sends. */
export interface ClientRequest {
  readonly method: number;
  /** Absolute URI with scheme coap, coap+tcp or coaps+tcp and host an IP literal or a name. */
  readonly uri: string;
  /** Further Uri-Query items, decoded, after those in `uri`. */
  readonly query?: readonly string[];
  readonly accept?: number;
  readonly contentFormat?: number;
  readonly etags?: readonly Uint8Array[];
  readonly echo?: Uint8Array;
  readonly hopLimit?: number;
  readonly options?: readonly CoapOption[];
  readonly payload?: Uint8Array;
  /** Default true over UDP. */
  readonly confirmable?: boolean;
  /**
   * The request is that of another client, which gets the response as it is: options that are not understood and are safe to
   * forward (RFC 7252 section 5.7.1) do not refuse it, and a 4.01 with Echo is a response like any other. Default false.
   */
  readonly isRelayed?: boolean;
}

/** A complete response: Block2 has been assembled (all blocks of one ETag). */
export interface ClientResponse {
  readonly code: number;
  readonly contentFormat?: number;
  readonly etag?: Uint8Array;
  /** Seconds; 60 when the option is absent (RFC 7252 section 5.10.5). */
  readonly maxAgeS: number;
  /** Present on notifications and on the response that established an observation. */
  readonly observe?: number;
  readonly locationPath: readonly string[];
  readonly locationQuery: readonly string[];
  readonly echo?: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  readonly peer: Peer;
  /** Bytes that this response took on the wire, all datagrams and blocks, CoAP headers included, IP/UDP headers not. */
  readonly wireBytes: number;
}

/** Settings of one request. */
export interface RequestControl {
  readonly signal?: AbortSignal;
  /** Give up after this many ms (error `TIMEOUT`); default: what RFC 7252 retransmission allows (about 93 s). */
  readonly timeoutMs?: number;
  /** Largest response body accepted; beyond it the error is `TOO_LARGE`. Default 64 MiB. */
  readonly maxBodyBytes?: number;
}

/** Settings of one observation. */
export interface ObservationControl extends Omit<RequestControl, "signal"> {
  /**
   * Each notification builds on the one before, as patches do: one that arrives while the blocks of another are being
   * fetched waits for it, a few at most, instead of taking its place (RFC 7641 section 1.3 wants the latest state only).
   */
  readonly isSeries?: boolean;
}

/** Callbacks of an observation. */
export interface ObservationListener {
  /** First response and every newer notification, in order (RFC 7641 section 3.4), each complete. Error codes are delivered too. */
  onNotification(response: ClientResponse): void;
  /**
   * The observation ended without `close()`: `not-observable` (response without Observe; it was delivered before),
   * `error-response` (delivered before), or a TransportError (timeout, reset, too large, closed).
   */
  onEnd(reason: "not-observable" | "error-response" | Error): void;
}

/** A running observation on the client side. */
export interface Observation {
  /**
   * Send the registration again with the same token (RFC 7641 section 3.3.1), with `etags` as what is already held.
   * The answer arrives by `onNotification`; no answer ends the observation.
   */
  refresh(etags?: readonly Uint8Array[]): void;
  /** Deregister (Observe 1) and forget. Resolves when answered or after one timeout. No callback fires any more. */
  close(): Promise<void>;
  /** Forget without a word; later notifications are rejected with RST. */
  cancel(): void;
}

/** Sends requests. One interface for every scheme. */
export interface CoapClient {
  /** @throws {TransportError} TIMEOUT, RESET, UNREACHABLE, TOO_LARGE, ABORTED, CLOSED, BAD_URI, MALFORMED. Error codes 4.xx/5.xx are responses, not errors. */
  request(request: ClientRequest, control?: RequestControl): Promise<ClientResponse>;
  /** Observes a resource (RFC 7641) until the observation is closed or ends. */
  observe(request: ClientRequest, listener: ObservationListener, control?: ObservationControl): Observation;
  /** Empty CON (RFC 7252 section 4.3); resolves true on RST or ACK, false when nothing came. */
  ping(uri: string, control?: RequestControl): Promise<boolean>;
  /** Ends everything that is under way and closes the sockets. Idempotent. */
  close(): Promise<void>;
}

/** A bound CoAP listener. */
export interface CoapListener {
  /** Bound URI with the actual port, e.g. `coap://[::1]:5683`. */
  readonly uri: string;
  /** Stop accepting, end observations, wait for running exchanges up to `drainMs`. Idempotent. */
  close(drainMs?: number): Promise<void>;
}

/** A listener with what it counted over all its addresses. */
export interface CoapListenerHandle extends CoapListener {
  readonly counters: TransportCounters;
  /** How much is in each table, summed over its addresses; verified peers are those of the guard. */
  tableSizes(): TableSizes;
}

/** The other side of a datagram. `local` is the own address that it was sent to, or is to leave from, where that is known. */
export interface DatagramPeer {
  readonly address: string;
  readonly port: number;
  readonly local?: string;
}

/** A datagram socket as the message layer needs it; real ones are made in `node-udp.ts`, simulated ones by tests. */
export interface DatagramSocket {
  readonly local: LocalAddress;
  /** `isReported`: a failure is told by `onError`; default true. */
  send(datagram: Uint8Array, to: DatagramPeer, isReported?: boolean): void;
  /** Set once by the message layer. `isMulticast`: it was sent to more than one host, by multicast or broadcast. */
  onDatagram: ((datagram: Uint8Array, from: DatagramPeer, isMulticast: boolean) => void) | null;
  /** Called with errors of the socket. */
  onError: ((error: Error) => void) | null;
  /** Closes the socket. */
  close(): void;
}

/** RFC 7252 section 4.8 transmission parameters, all in ms. */
export interface TransmissionParameters {
  /** ACK_TIMEOUT, default 2000. */
  readonly ackTimeoutMs: number;
  /** ACK_RANDOM_FACTOR, default 1.5. */
  readonly ackRandomFactor: number;
  /** MAX_RETRANSMIT, default 4. */
  readonly maxRetransmit: number;
  /** How long a message id is remembered for deduplication; EXCHANGE_LIFETIME, default 247 000. */
  readonly exchangeLifetimeMs: number;
  /** DEFAULT_LEISURE for multicast, default 5000. */
  readonly leisureMs: number;
  /** A handler that takes longer gets an empty ACK sent and answers separately (section 5.2.2). Default 200. */
  readonly separateAfterMs: number;
}

/** Limits of a CoAP endpoint over UDP. */
export interface TransportLimits {
  /** Largest request body assembled from Block1, and largest datagram payload accepted: 4.13 beyond. Default 65 536 + room. */
  readonly maxRequestBytes: number;
  /** Block1 assemblies and retained Block2 bodies kept at once. Default 1024 each. */
  readonly maxTransfers: number;
  /** Bytes of response bodies retained for Block2 at once; the oldest goes first. Default 256 MiB. */
  readonly maxRetainedBytes: number;
  /** Requests being handled at once; 5.03 beyond. Default 4096. */
  readonly maxExchanges: number;
  /** Observers over all resources; beyond it the answer comes without Observe. Default 10 000. */
  readonly maxObservers: number;
  /** Of these, of one client: one IPv4 address or one /64 of IPv6. Default 2500. */
  readonly maxObserversPerClient: number;
  /** Messages remembered for deduplication. Default 65 536. */
  readonly maxDeduplication: number;
  /** Answers remembered for those who ask the same again; 0: none. */
  readonly maxAnswers: number;
  /** Confirmable messages under way to one peer (NSTART, RFC 7252 section 4.7); further ones wait. Default 64. */
  readonly maxOutstandingPerPeer: number;
  /** Preferred block size (16..1024). Default 1024. */
  readonly blockSize: number;
}

/** Entries by table, e.g. `observers`. */
export type TableSizes = Readonly<Record<string, number>>;

/** Counters of the message layer, for metrics. Monotonic. */
export interface TransportCounters {
  received: number;
  sent: number;
  retransmitted: number;
  duplicates: number;
  /** By cause, e.g. `malformed`, `unknown-critical-option`, `overload`. */
  readonly rejected: Map<string, number>;
}

/** Clock, randomness and logger of the transport. */
export type TransportEnvironment = Environment;
