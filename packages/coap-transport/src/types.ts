/** A CoAP option as it is on the wire. */
export interface CoapOption {
  readonly number: number;
  readonly value: Uint8Array;
}

/** Who a peer is, as its credentials prove. */
export interface PeerIdentity {
  /** What proves it: a certificate, a pre-shared key, or an OSCORE context. */
  readonly kind: "certificate" | "psk" | "oscore";
  /** The name that it is known by here. */
  readonly name: string;
  /** All names of the credential, `name` among them: those of a certificate may be several. */
  readonly names: readonly string[];
}

/** The remote endpoint of an exchange. */
export interface Peer {
  /** Identifies the peer: equal for equal transport, address, zone, port and local address, and for nothing else. */
  readonly key: string;
  readonly transport: "udp" | "tcp" | "tls";
  /** IP literal without brackets and zone. IPv4-mapped IPv6 addresses are written as IPv4. */
  readonly address: string;
  /** Zone of a link-local IPv6 address (interface name or index). */
  readonly zone?: string;
  readonly port: number;
  /** Local address that the peer sent to, with its zone, if known. Datagrams to the peer are sent from it. */
  readonly local?: string;
  /** Absent: it has not proved who it is. */
  readonly identity?: PeerIdentity;
}

/** A local address and port. */
export interface LocalAddress {
  readonly address: string;
  readonly port: number;
  /** Whether the listener is also reached at `address`, an IP literal without zone. Absent: at no other address. */
  readonly isAlso?: (address: string) => boolean;
}

/**
 * How far a source address is verified: `trusted` by configuration or by the transport · `fresh` this request carries a recent Echo
 * value made for its sender (RFC 9175 section 2.3) · `seen` an earlier request did · `none`.
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
  /** Sends a request to the peer over this connection. Errors are those of `CoapClient.request`. */
  request(request: ClientRequest, control?: RequestControl): Promise<ClientResponse>;
  /** Observes a resource of the peer over this connection (RFC 7641); the observation ends with it. */
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

/** The preconditions of a request (RFC 7252 section 5.10.8). */
export interface Precondition {
  /** Values of If-Match; an empty value matches any representation. Empty array: the option is absent. */
  readonly ifMatch: readonly Uint8Array[];
  readonly ifNoneMatch: boolean;
}

/**
 * Sends a request to a client of this server: over UDP from the address and port that the client sent to, over TCP on the client's
 * connection. The URI of the request has the peer's address. Errors are those of `CoapClient.request`.
 */
export type AskPeer = (peer: Peer, request: ClientRequest, control?: RequestControl) => Promise<ClientResponse>;

/** A complete request as a handler receives it, after block-wise transfer, deduplication and the check of options. */
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
  /** 0 to register, 1 to deregister; absent in a plain request (RFC 7641). */
  readonly observe?: number;
  readonly echo?: Uint8Array;
  /** Whether the source address is verified (RFC 9175 section 2.4). Absent: not checked. */
  readonly sourceProof?: SourceProof;
  readonly hopLimit?: number;
  /** If-Match and If-None-Match; absent in an unconditional request. See `RequestHandler.evaluatesPreconditions`. */
  readonly precondition?: Precondition;
  readonly payload: Uint8Array;
  /** All options as received. */
  readonly options: readonly CoapOption[];
  readonly peer: Peer;
  /** The request was sent to a multicast address. The transport then suppresses errors and empty responses. */
  readonly isMulticast: boolean;
  /** Scheme of the listener, e.g. `coap`. */
  readonly scheme: string;
  /** The address that the peer sent to, or the address of the listener if that is unknown. */
  readonly local: LocalAddress;
  /** Sends a request to the sender of this one. Absent: it can be reached only like any other host. */
  readonly askPeer?: AskPeer;
  /** The connection that it came by; absent over datagrams. */
  readonly connection?: PeerConnection;
}

/** The response of a handler. The transport adds token, message ID, Block2, Observe and Size2. */
export interface ServerResponse {
  /** Response code as one byte, e.g. CODE.CONTENT. */
  readonly code: number;
  readonly contentFormat?: number;
  readonly etag?: Uint8Array;
  /** Seconds. Absent: the default of 60 (RFC 7252 section 5.10.5). */
  readonly maxAgeS?: number;
  readonly locationPath?: readonly string[];
  readonly locationQuery?: readonly string[];
  readonly echo?: Uint8Array;
  /**
   * Adds an Echo value for the client: the challenge of a 4.01, or in another response one that spares the next request the
   * challenge (RFC 9175 section 2.3). No effect where source addresses are not verified.
   */
  readonly issuesEcho?: boolean;
  readonly options?: readonly CoapOption[];
  readonly payload?: Uint8Array;
  /** The body beyond `payload`, written as its blocks are requested. Requires an `etag`. */
  readonly rest?: UnfinishedBody;
  /** Accepts the observation, in a 2.xx response to a request with Observe 0. */
  readonly observation?: ObservationSource;
  /**
   * The response may be cached and sent to any client that sends the same request. Called at most once, directly after the handler
   * returned, when the transport is about to cache it; null: do not cache it.
   */
  readonly trackValidity?: () => ResponseValidity | null;
  /**
   * Whether the response to an idempotent request still describes the state of the resource. Once it does not, a duplicate of the
   * request is handled again instead of getting this response (RFC 7252 section 4.5). `hasChangedMore`: the sender has since sent
   * other requests that change something. Absent: duplicates get the same response for EXCHANGE_LIFETIME.
   */
  readonly isStillTrue?: (sender: { readonly hasChangedMore: boolean }) => boolean;
}

/** A body that is written while it is sent, so that its first block leaves before the last one exists (RFC 7959 section 2.4). */
export interface UnfinishedBody {
  /**
   * Returns the body from its beginning, with at least `bytes` bytes or complete; a promise where that takes several turns of the
   * event loop. Throws, or rejects, when the body cannot be completed; with a `TransportError` `SUPERSEDED` where another one has
   * taken its place: then the request is handled again, and the client notices the other ETag (RFC 7959 section 2.4).
   */
  upTo(bytes: number): Uint8Array | Promise<Uint8Array>;
}

/** Tracks whether a cached response is fresh (RFC 7252 section 5.6.1). */
export interface ResponseValidity {
  /** The response was invalidated, for good. */
  readonly isStale: boolean;
  /** Whether the response may be used at this moment. Called only while it is not stale. */
  isFresh(): boolean;
  /** Called each time the response is used. */
  noteHit(): void;
  /** Called once when the response leaves the cache. */
  dispose(): void;
}

/** Accepts an observation. `attach` is called once, directly after the first response was sent. */
export interface ObservationSource {
  /** Adds an observer of the resource. */
  attach(observer: Observer): ObservedResource;
}

/** The transport's side of an observation. */
export interface Observer {
  readonly peer: Peer;
  /** Announces a new state: `next()` is called as soon as a notification can be sent. Cheap; several calls count as one. */
  wake(): void;
  /** Ends the observation, with a final error notification if given (RFC 7641 section 4.2). */
  end(final?: ServerResponse): void;
}

/** The resource's side of an observation. */
export interface ObservedResource {
  /**
   * Most notifications in transit at once; default 1 (RFC 7641 section 4.5). More are sent only over UDP to peers for which
   * `isConfigured` of the listener holds, within the congestion window, and for notifications that build on each other: they may arrive
   * in another order.
   */
  readonly maxInTransit?: number;
  /**
   * Returns the representation to send now, or null if there is nothing new. Called as late as possible, and again after each
   * notification until null.
   */
  next(): ServerResponse | null | Promise<ServerResponse | null>;
  /** Called when the observer has acknowledged a notification and all before it; once for each, in the order of `next`. */
  delivered?(): void;
  /** Called once when the observation ends; nothing is called afterwards. */
  closed?(reason: ObservationEnd): void;
}

/** Why an observation ended, from the server's point of view. */
export type ObservationEnd = "deregistered" | "replaced" | "reset" | "timeout" | "ended" | "closed";

/** Handles the requests of a listener. An exception becomes 5.00. */
export interface RequestHandler {
  (request: ServerRequest): ServerResponse | Promise<ServerResponse>;
  /**
   * The handler evaluates `ServerRequest.precondition` of unsafe requests. For other handlers the transport responds to such requests
   * with 4.02, so that no precondition is ignored. Preconditions of safe requests are evaluated by the transport.
   */
  readonly evaluatesPreconditions?: boolean;
  /**
   * Whether the handler passes a request on to another server, as a proxy does: critical options that are not understood and are
   * safe to forward (RFC 7252 section 5.4.2) are that server's business, and not refused here. Absent: it does not.
   */
  readonly relays?: (request: ServerRequest) => boolean;
}

/** A request to send. */
export interface ClientRequest {
  readonly method: number;
  /** Absolute URI with scheme `coap`, `coap+tcp` or `coaps+tcp`; the host is an IP literal or a name. */
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
  /**
   * Name of the security context that protects the request (RFC 8613), for `protect` of the client, which must know it. Absent:
   * `protect` decides by the URI.
   */
  readonly context?: string;
}

/** A complete response, assembled from all blocks of one ETag. */
export interface ClientResponse {
  readonly code: number;
  readonly contentFormat?: number;
  readonly etag?: Uint8Array;
  /** Seconds; 60 if the option is absent (RFC 7252 section 5.10.5). */
  readonly maxAgeS: number;
  /** Observe value of a notification, or of the response to a registration. */
  readonly observe?: number;
  readonly locationPath: readonly string[];
  readonly locationQuery: readonly string[];
  readonly echo?: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  readonly peer: Peer;
  /** Size of the response on the wire: all datagrams or messages of all blocks, without IP and UDP or TCP headers. */
  readonly wireBytes: number;
}

/** Limits of one request. */
export interface RequestControl {
  /** Aborts the request, with the error `ABORTED`. */
  readonly signal?: AbortSignal;
  /** Time until the request fails with `TIMEOUT`, ms. Default: MAX_TRANSMIT_WAIT of RFC 7252, about 93 s. */
  readonly timeoutMs?: number;
  /** Largest response body; a larger one fails with `TOO_LARGE`. Default 64 MiB. */
  readonly maxBodyBytes?: number;
}

/** When the registration of an observation is repeated (RFC 7641 section 3.3.1). */
export interface KeepAlive {
  /** Returns the ETags of the states that the caller has; the response may then be 2.03. Default: the ETag of the last response. */
  readonly etags?: () => readonly Uint8Array[];
  /** Bounds of Max-Age, ms. Default 1000 and 86 400 000. */
  readonly minMs?: number;
  readonly maxMs?: number;
  /** Time from Max-Age to the registration, ms. Default: random, 5000 to 15 000. */
  readonly graceMs?: number;
}

/** Limits and kind of one observation. */
export interface ObservationControl extends Omit<RequestControl, "signal"> {
  /**
   * Notifications build on each other, as patches do. Each is then delivered once, in the order of arrival: over UDP a server that has
   * several in transit (`ObservedResource.maxInTransit`) may send them in another order. One that arrives while the blocks of another
   * are fetched waits, up to a few, instead of replacing it (RFC 7641 section 1.3 only promises the latest state).
   */
  readonly isSeries?: boolean;
  /** Repeats the registration when nothing was received for Max-Age, until the observation ends. Default false. */
  readonly keepAlive?: boolean | KeepAlive;
}

/** Receives the notifications of an observation. */
export interface ObservationListener {
  /**
   * Called with the first response and each newer notification, complete and in order (RFC 7641 section 3.4), errors included. It may
   * return a promise while it has enough to do, so that the peer waits with what it sends: until that settles, nothing more is read
   * from a peer over TCP, for 10 seconds at most, and the notification is not acknowledged over UDP, for one second at most.
   */
  onNotification(response: ClientResponse): unknown;
  /**
   * Called once when the observation ends other than by `close()` or `cancel()`: `not-observable` after a response without Observe,
   * `error-response` after an error response (both were delivered), or the error that ended it.
   */
  onEnd(reason: "not-observable" | "error-response" | Error): void;
}

/** An observation, on the client side. */
export interface Observation {
  /**
   * Sends the registration again with the same token (RFC 7641 section 3.3.1); `etags` name cached states. The response is
   * delivered to `onNotification`; without a response the observation ends.
   */
  refresh(etags?: readonly Uint8Array[]): void;
  /** Deregisters (Observe 1). Resolves with the response or after one timeout. No callback is called any more. */
  close(): Promise<void>;
  /** Ends the observation without a message; later notifications are rejected with RST. */
  cancel(): void;
}

/** Sends requests, by any scheme. */
export interface CoapClient {
  /**
   * Resolves with the response; responses with 4.xx and 5.xx are no errors.
   * @throws {TransportError} TIMEOUT, RESET, UNREACHABLE, TOO_LARGE, ABORTED, CLOSED, BAD_URI, MALFORMED.
   */
  request(request: ClientRequest, control?: RequestControl): Promise<ClientResponse>;
  /** Observes a resource (RFC 7641). The listener is called later, never during this call. */
  observe(request: ClientRequest, listener: ObservationListener, control?: ObservationControl): Observation;
  /** Sends a ping (RFC 7252 section 4.3, RFC 8323 section 5.4); resolves with false if there is no response. */
  ping(uri: string, control?: RequestControl): Promise<boolean>;
  /** Ends everything that is under way and closes the sockets. Idempotent. */
  close(): Promise<void>;
}

/** A server on one URI. */
export interface CoapListener {
  /** Bound URI with the actual port, e.g. `coap://[::1]:5683`. */
  readonly uri: string;
  /** Stops accepting requests, waits up to `drainMs` for running ones, and ends observations. Idempotent. */
  close(drainMs?: number): Promise<void>;
}

/** A listener with its counters, summed over its addresses. */
export interface CoapListenerHandle extends CoapListener {
  readonly counters: TransportCounters;
  /** Number of entries in each table, summed over the addresses; verified peers are those of the guard. */
  tableSizes(): TableSizes;
  /**
   * Listeners of `coaps+tcp`: uses other credentials for connections that are made from now on; others continue.
   * @throws {TransportError} BAD_ARGUMENT when they cannot be used; then nothing changes.
   */
  readonly replaceTls?: (credentials: TlsServerCredentials) => void;
}

/** A certificate and its private key, both PEM. */
export interface TlsCertificate {
  /** The certificate, followed by those of the authorities between it and a root. */
  readonly chain: string;
  readonly key: string;
}

/** What a server proves with, and asks of its clients, over TLS. It has a certificate, pre-shared keys, or both. */
export interface TlsServerCredentials {
  readonly certificate?: TlsCertificate;
  /** Certificates, in PEM, of the authorities that sign those of clients. Absent: clients are asked for none. */
  readonly clientAuthorities?: string;
  /** Whether a client without pre-shared key has to show a certificate. Default `required` where there are authorities. */
  readonly clientCertificates?: "required" | "optional";
  /** Pre-shared keys by identity. Default: none. */
  readonly preSharedKeys?: ReadonlyMap<string, Uint8Array>;
}

/** What a client proves with, and whom it trusts, over TLS. */
export interface TlsClientCredentials {
  /** Certificates, in PEM, of the authorities that sign those of servers. Default: the public ones that Node knows. */
  readonly authorities?: string;
  /** Shown to servers that ask for one. Default: none. */
  readonly certificate?: TlsCertificate;
  /** Proves both sides, instead of certificates. */
  readonly preSharedKey?: { readonly identity: string; readonly key: Uint8Array };
  /** The name that the certificate of the server has to be for. Default: the host of the URI. */
  readonly serverName?: string;
}

/** The remote endpoint of a datagram. `local` is the local address that it was sent to, or is to be sent from, if known. */
export interface DatagramPeer {
  readonly address: string;
  readonly port: number;
  readonly local?: string;
}

/** A datagram socket as the message layer needs it: `openUdpSocket` makes real ones, tests simulated ones. */
export interface DatagramSocket {
  readonly local: LocalAddress;
  /** Sends a datagram. `isReported`: a failure is passed to `onError`; default true. */
  send(datagram: Uint8Array, to: DatagramPeer, isReported?: boolean): void;
  /** Set once by the message layer. `isMulticast`: the datagram was sent by multicast or broadcast. */
  onDatagram: ((datagram: Uint8Array, from: DatagramPeer, isMulticast: boolean) => void) | null;
  /** Called with errors of the socket. */
  onError: ((error: Error) => void) | null;
  /** Closes the socket. */
  close(): void;
}

/** Transmission parameters (RFC 7252 section 4.8), in ms. */
export interface TransmissionParameters {
  /** ACK_TIMEOUT, default 2000. */
  readonly ackTimeoutMs: number;
  /** ACK_RANDOM_FACTOR, default 1.5. */
  readonly ackRandomFactor: number;
  /** MAX_RETRANSMIT, default 4. */
  readonly maxRetransmit: number;
  /** EXCHANGE_LIFETIME, for which message IDs are kept for deduplication. Default 247 000. */
  readonly exchangeLifetimeMs: number;
  /** DEFAULT_LEISURE for multicast, default 5000. */
  readonly leisureMs: number;
  /** Time until an empty ACK is sent; the response is then separate (section 5.2.2). Default 200. */
  readonly separateAfterMs: number;
}

/** Bounds of an endpoint or listener. */
export interface TransportLimits {
  /** Largest request body, in blocks or in one message; larger ones get 4.13. Default 81 920 bytes. */
  readonly maxRequestBytes: number;
  /** Largest number of Block1 transfers, and of bodies retained for Block2. Default 1024 each. */
  readonly maxTransfers: number;
  /** Size of all response bodies retained for Block2; the oldest is evicted first. Default 256 MiB. */
  readonly maxRetainedBytes: number;
  /** Requests handled concurrently; further ones get 5.03. Default 4096. */
  readonly maxExchanges: number;
  /** Observations of all resources; further requests get a response without Observe. Default 10 000. */
  readonly maxObservers: number;
  /** Observations of one client (an IPv4 address or an IPv6 /64). Default 2500. */
  readonly maxObserversPerClient: number;
  /** Messages kept for deduplication. Default 65 536. */
  readonly maxDeduplication: number;
  /** Responses cached for repeated requests; 0 disables the cache. Default 32 768. */
  readonly maxCachedResponses: number;
  /** Confirmable messages in transit to one peer (NSTART, RFC 7252 section 4.7); further ones wait. Default 64. */
  readonly maxOutstandingPerPeer: number;
  /** Preferred block size, 16 to 1024 bytes. Default 1024. */
  readonly blockSize: number;
}

/** Number of entries by table, e.g. `observers`. */
export type TableSizes = Readonly<Record<string, number>>;

/** Counters of the message layer, which only grow. */
export interface TransportCounters {
  received: number;
  sent: number;
  retransmitted: number;
  duplicates: number;
  /** By cause, e.g. `malformed`, `unknown-critical-option`, `overload`. */
  readonly rejected: Map<string, number>;
}
