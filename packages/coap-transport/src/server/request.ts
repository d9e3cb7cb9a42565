import { type Block, decodeBlock } from "../message/block-option.js";
import { CODE, METHOD, OPTION } from "../message/codes.js";
import type { Message } from "../message/message.js";
import {
  decodeText,
  decodeUint,
  isCritical,
  isSafeToForward,
  reservedLocationOption,
} from "../message/option-values.js";
import type { StreamCapacity } from "../message/stream-capacity.js";
import type {
  AskPeer,
  CoapOption,
  LocalAddress,
  Peer,
  PeerConnection,
  Precondition,
  ServerRequest,
  SourceProof,
} from "../types.js";
import type { AmplificationGuard } from "./amplification-guard.js";

/** Circumstances of a request that are not part of the message. */
export interface RequestContext {
  readonly peer: Peer;
  readonly isMulticast: boolean;
  readonly scheme: string;
  readonly local: LocalAddress;
  readonly askPeer?: AskPeer;
  readonly connection?: PeerConnection;
  /** Sizes of messages to the peer; absent over datagrams. */
  readonly capacity?: StreamCapacity;
  /** The message is encrypted, and its OSCORE option understood (RFC 8613). Default false. */
  readonly isProtected?: boolean;
}

/** The response to a request that cannot be handled. */
export interface RequestFailure {
  readonly code: number;
  readonly diagnostic: string;
}

const OBSERVABLE: readonly number[] = [METHOD.GET, METHOD.FETCH];
const NO_ETAGS: readonly Uint8Array[] = [];

/** A request with its options decoded: for handlers, block-wise transfer and Observe. */
export class IncomingRequest implements ServerRequest {
  readonly method: number;
  readonly path: string[] = [];
  readonly query: string[] = [];
  uriHost?: string;
  uriPort?: number;
  accept?: number;
  contentFormat?: number;
  etags: readonly Uint8Array[] = NO_ETAGS;
  observe?: number;
  echo?: Uint8Array;
  hopLimit?: number;
  precondition?: Precondition;
  payload: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly peer: Peer;
  readonly isMulticast: boolean;
  readonly scheme: string;
  readonly local: LocalAddress;
  readonly askPeer?: AskPeer;
  readonly connection?: PeerConnection;

  readonly token: Uint8Array;
  readonly capacity: StreamCapacity | undefined;
  readonly wireBytes: number;
  block1?: Block;
  block2?: Block;
  size1?: number;
  asksSize2 = false;
  noResponse = 0;
  failure: RequestFailure | null = null;
  /** A critical option that only the server has to understand to which the request is relayed. */
  unknownOption: RequestFailure | null = null;
  readonly #guard: AmplificationGuard | undefined;
  #sourceProof: SourceProof | undefined;

  /** Without `guard` all source addresses are trusted. */
  constructor(message: Message, context: RequestContext, guard?: AmplificationGuard) {
    this.method = message.code;
    this.payload = message.payload;
    this.options = message.options;
    this.token = message.token;
    this.wireBytes = message.wireBytes;
    this.capacity = context.capacity;
    this.#guard = guard;
    this.peer = context.peer;
    this.isMulticast = context.isMulticast;
    this.scheme = context.scheme;
    this.local = context.local;
    if (context.askPeer !== undefined) this.askPeer = context.askPeer;
    if (context.connection !== undefined) this.connection = context.connection;
    for (const option of message.options) {
      if (option.number === OPTION.OSCORE && context.isProtected === true) continue;
      if (this.#understand(option.number, option.value)) continue;
      // RFC 7252 sections 5.4.1, 5.4.3, 5.4.5: unknown, of a wrong length, or not repeatable.
      if (isCritical(option.number)) this.#refuseOption(option.number);
    }
    const reserved = reservedLocationOption(message.options);
    if (reserved !== null)
      this.#fail(CODE.BAD_OPTION, `option ${reserved} beside Location-Path or Location-Query not understood`);
  }

  /** Evaluated on demand: most responses are small enough for any address. */
  get sourceProof(): SourceProof {
    this.#sourceProof ??= this.#guard?.examine(this.peer, this.echo) ?? "trusted";
    return this.#sourceProof;
  }

  /** Returns false when the option counts as unrecognised. */
  #understand(number: number, value: Uint8Array): boolean {
    switch (number) {
      case OPTION.URI_PATH:
        return value.length <= 255 && this.#addText(this.path, value);
      case OPTION.URI_QUERY:
        return value.length <= 255 && this.#addText(this.query, value);
      case OPTION.URI_HOST:
        return this.#setHost(value);
      case OPTION.ETAG:
        if (value.length >= 1 && value.length <= 8) this.etags = [...this.etags, value];
        return true;
      case OPTION.IF_MATCH:
        return value.length <= 8 && this.#addPrecondition(value);
      case OPTION.IF_NONE_MATCH:
        return value.length === 0 && this.precondition?.ifNoneMatch !== true && this.#addPrecondition(null);
      case OPTION.PROXY_URI:
      case OPTION.PROXY_SCHEME:
        this.#fail(CODE.PROXYING_NOT_SUPPORTED, "not a proxy");
        return true;
      case OPTION.ECHO:
        if (value.length >= 1 && value.length <= 40) this.echo ??= value;
        return true;
      default:
        return this.#understandUint(number, value);
    }
  }

  #understandUint(number: number, value: Uint8Array): boolean {
    switch (number) {
      case OPTION.URI_PORT:
        if (value.length > 2 || this.uriPort !== undefined) return false;
        this.uriPort = decodeUint(value);
        return true;
      case OPTION.ACCEPT:
        if (value.length > 2 || this.accept !== undefined) return false;
        this.accept = decodeUint(value);
        return true;
      case OPTION.CONTENT_FORMAT:
        if (value.length <= 2) this.contentFormat ??= decodeUint(value);
        return true;
      case OPTION.BLOCK1:
        if (value.length > 3 || this.block1 !== undefined) return false;
        this.block1 = decodeBlock(value);
        return true;
      case OPTION.BLOCK2:
        if (value.length > 3 || this.block2 !== undefined) return false;
        this.block2 = decodeBlock(value);
        return true;
      default:
        return this.#understandElectiveUint(number, value);
    }
  }

  #understandElectiveUint(number: number, value: Uint8Array): boolean {
    switch (number) {
      case OPTION.OBSERVE: {
        // RFC 7641 section 2: with other values, and other methods, the option is ignored.
        const observe = value.length <= 3 ? decodeUint(value) : 2;
        if (observe < 2 && OBSERVABLE.includes(this.method) && !this.isMulticast) this.observe ??= observe;
        return true;
      }
      case OPTION.SIZE1:
        if (value.length <= 4) this.size1 ??= decodeUint(value);
        return true;
      case OPTION.SIZE2:
        this.asksSize2 = true;
        return true;
      case OPTION.NO_RESPONSE:
        if (value.length <= 1) this.noResponse = decodeUint(value);
        return true;
      case OPTION.HOP_LIMIT:
        this.#setHopLimit(value);
        return true;
      default:
        return false;
    }
  }

  #addText(texts: string[], value: Uint8Array): boolean {
    const text = decodeText(value);
    if (text === null) this.#fail(CODE.BAD_REQUEST, "a Uri-Path or Uri-Query is not UTF-8");
    else texts.push(text);
    return true;
  }

  /** `tag` is a value of If-Match, or null for If-None-Match. */
  #addPrecondition(tag: Uint8Array | null): boolean {
    const { ifMatch, ifNoneMatch } = this.precondition ?? { ifMatch: [], ifNoneMatch: false };
    this.precondition = tag === null ? { ifMatch, ifNoneMatch: true } : { ifMatch: [...ifMatch, tag], ifNoneMatch };
    return true;
  }

  #setHost(value: Uint8Array): boolean {
    if (value.length < 1 || value.length > 255 || this.uriHost !== undefined) return false;
    const host = decodeText(value);
    if (host === null) this.#fail(CODE.BAD_REQUEST, "Uri-Host is not UTF-8");
    else this.uriHost = host;
    return true;
  }

  /** RFC 8768 section 3: one byte other than zero. */
  #setHopLimit(value: Uint8Array): void {
    const hopLimit = value.length === 1 ? (value[0] as number) : 0;
    if (hopLimit === 0) this.#fail(CODE.BAD_REQUEST, "Hop-Limit must be 1 to 255");
    else this.hopLimit ??= hopLimit;
  }

  #refuseOption(number: number): void {
    const failure = { code: CODE.BAD_OPTION, diagnostic: `critical option ${number} not understood` };
    if (isSafeToForward(number)) this.unknownOption ??= failure;
    else this.failure ??= failure;
  }

  #fail(code: number, diagnostic: string): void {
    this.failure ??= { code, diagnostic };
  }
}

/** Options that may differ between the messages of one block-wise transfer. */
const NOT_IN_KEY: readonly number[] = [
  OPTION.ETAG,
  OPTION.OBSERVE,
  OPTION.HOP_LIMIT,
  OPTION.BLOCK1,
  OPTION.BLOCK2,
  OPTION.ECHO,
  OPTION.NO_RESPONSE,
];

/**
 * Returns a key that is equal for the messages of one block-wise transfer: peer, method and the options of the cache key (RFC 7959
 * section 2.4, RFC 7252 section 5.4.6), including Request-Tag (RFC 9175 section 3), but neither token nor block numbers.
 */
export function transferKey(request: IncomingRequest): string {
  let key = `${request.peer.key} ${request.method}`;
  for (const { number, value } of request.options) {
    const isNoCacheKey = (number & 0x1e) === 0x1c; // RFC 7252 section 5.4.6
    if (isNoCacheKey || NOT_IN_KEY.includes(number)) continue;
    key += ` ${number}:${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1")}`;
  }
  return key;
}
