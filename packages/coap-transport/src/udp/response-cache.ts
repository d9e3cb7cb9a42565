import { MESSAGE_TYPE, METHOD, OPTION } from "../message/codes.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { CachedResponses, type CachedResponsesOptions } from "../server/cached-responses.js";
import type { DatagramPeer, ResponseValidity } from "../types.js";
import type { UdpMessage } from "./message-codec.js";
import type { PeerTable } from "./peer-table.js";

const HEADER_BYTES = 4;
const MAX_TOKEN_BYTES = 8;
/** The upper half of the first byte: version 1, confirmable. */
const CONFIRMABLE = 4;
/** Options whose response depends on the peer, the moment or the transfer, and not on the request alone. */
const NOT_CACHEABLE: readonly number[] = [
  OPTION.OBSERVE,
  OPTION.BLOCK1,
  OPTION.BLOCK2,
  OPTION.ECHO,
  OPTION.NO_RESPONSE,
  OPTION.IF_MATCH,
  OPTION.IF_NONE_MATCH,
];

/**
 * Responds to repeated GETs from the bytes of earlier responses, without parsing the request and without touching the tables of
 * peers, exchanges and duplicates. A duplicate is served like any other request, which is harmless, as GET is safe (RFC 7252
 * section 4.5).
 */
export class ResponseCache {
  readonly #responses: CachedResponses;
  readonly #guard: AmplificationGuard | undefined;
  readonly #peers: PeerTable;

  constructor(
    deps: { readonly guard: AmplificationGuard | undefined; readonly peers: PeerTable },
    options: CachedResponsesOptions,
  ) {
    this.#responses = new CachedResponses(options);
    this.#guard = deps.guard;
    this.#peers = deps.peers;
  }

  get size(): number {
    return this.#responses.size;
  }

  /** Returns the datagram that responds to this one; null when the request has to be handled. */
  respond(datagram: Buffer, from: DatagramPeer): Buffer | null {
    const start = optionsStart(datagram);
    if (start === 0 || from.address.includes("%")) return null;
    const cached = this.#responses.get(datagram.toString("latin1", start));
    if (cached === undefined) return null;
    const { bytes, code, validity } = cached;
    const length = start + bytes.length;
    if (!this.#isAllowed(length, datagram.length, from)) return null;
    const response = Buffer.allocUnsafe(length);
    datagram.copy(response, 2, 2, start);
    response[0] = (datagram[0] as number) | (MESSAGE_TYPE.ACK << 4);
    response[1] = code;
    response.set(bytes, start);
    validity.noteHit();
    return response;
  }

  /** Stores the response to a request if it is likely to be requested again and its validity can be tracked. */
  offer(
    request: UdpMessage,
    datagram: Buffer,
    response: Uint8Array,
    trackValidity: () => ResponseValidity | null,
  ): void {
    const start = optionsStart(datagram);
    if (start === 0 || request.options.some(({ number }) => NOT_CACHEABLE.includes(number))) return;
    const key = datagram.toString("latin1", start);
    if (!this.#responses.admits(key)) return;
    const validity = trackValidity();
    if (validity !== null) this.#responses.store(key, response[1] as number, response.subarray(start), validity);
  }

  clear(): void {
    this.#responses.clear();
  }

  #isAllowed(responseBytes: number, requestBytes: number, from: DatagramPeer): boolean {
    const guard = this.#guard;
    if (guard === undefined || responseBytes <= guard.allowance(requestBytes)) return true;
    return guard.examine(this.#peers.at(from.address, from.port, from.local).peer, undefined) !== "none";
  }
}

/** Offset of the options of a confirmable GET; 0 for any other datagram. */
function optionsStart(datagram: Buffer): number {
  const first = datagram[0] as number;
  if (first >> 4 !== CONFIRMABLE || datagram[1] !== METHOD.GET) return 0;
  const tokenLength = first & 15;
  const start = HEADER_BYTES + tokenLength;
  return tokenLength <= MAX_TOKEN_BYTES && start < datagram.length ? start : 0;
}
