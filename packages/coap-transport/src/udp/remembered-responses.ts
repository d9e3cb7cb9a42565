import { MESSAGE_TYPE, METHOD, OPTION } from "../message/codes.js";
import type { AmplificationGuard } from "../server/amplification-guard.js";
import { AnswerMemory, type AnswerMemoryOptions } from "../server/response-memory.js";
import type { AnswerLife, DatagramPeer } from "../types.js";
import type { UdpMessage } from "./message-codec.js";
import type { PeerTable } from "./peer-table.js";

const HEADER_BYTES = 4;
const MAX_TOKEN_BYTES = 8;
/** Version 1, confirmable: what the first byte is but for the token length. */
const CONFIRMABLE = 4;
/** With these, an answer is about the peer, the moment or the transfer, and not only about the request. */
const NOT_REPEATABLE: readonly number[] = [
  OPTION.OBSERVE,
  OPTION.BLOCK1,
  OPTION.BLOCK2,
  OPTION.ECHO,
  OPTION.NO_RESPONSE,
  OPTION.IF_MATCH,
  OPTION.IF_NONE_MATCH,
];

/**
 * Answers GETs that were asked before from the bytes of their answers, without reading them: no table of peers, exchanges
 * or duplicates is touched. A duplicate is answered like any other repetition, which changes nothing, for GET is safe (RFC 7252
 * section 4.5).
 */
export class RepeatedRequests {
  readonly #memory: AnswerMemory;
  readonly #guard: AmplificationGuard | undefined;
  readonly #peers: PeerTable;

  constructor(
    deps: { readonly guard: AmplificationGuard | undefined; readonly peers: PeerTable },
    options: AnswerMemoryOptions,
  ) {
    this.#memory = new AnswerMemory(options);
    this.#guard = deps.guard;
    this.#peers = deps.peers;
  }

  get size(): number {
    return this.#memory.size;
  }

  /** The answer to a datagram, ready to be sent; null: it has to be read. */
  answer(datagram: Buffer, from: DatagramPeer): Buffer | null {
    const start = optionsStart(datagram);
    if (start === 0 || from.address.includes("%")) return null;
    const known = this.#memory.get(datagram.toString("latin1", start));
    if (known === undefined) return null;
    const { bytes, code, life } = known;
    const length = start + bytes.length;
    if (!this.#mayGo(length, datagram.length, from)) return null;
    const answer = Buffer.allocUnsafe(length);
    datagram.copy(answer, 2, 2, start);
    answer[0] = (datagram[0] as number) | (MESSAGE_TYPE.ACK << 4);
    answer[1] = code;
    answer.set(bytes, start);
    life.given();
    return answer;
  }

  /** Keep the answer to a request that was read, if it is worth it and says that it will hold. */
  offer(request: UdpMessage, datagram: Buffer, answer: Uint8Array, lasting: () => AnswerLife | null): void {
    const start = optionsStart(datagram);
    if (start === 0 || request.options.some(({ number }) => NOT_REPEATABLE.includes(number))) return;
    const key = datagram.toString("latin1", start);
    if (!this.#memory.isWanted(key)) return;
    const life = lasting();
    if (life !== null) this.#memory.keep(key, answer[1] as number, answer.subarray(start), life);
  }

  clear(): void {
    this.#memory.clear();
  }

  #mayGo(answerBytes: number, requestBytes: number, from: DatagramPeer): boolean {
    const guard = this.#guard;
    if (guard === undefined || answerBytes <= guard.allowance(requestBytes)) return true;
    return guard.examine(this.#peers.at(from.address, from.port, from.local).peer, undefined) !== "none";
  }
}

/** Where the options of a confirmable GET begin; 0: it is none. */
function optionsStart(datagram: Buffer): number {
  const first = datagram[0] as number;
  if (first >> 4 !== CONFIRMABLE || datagram[1] !== METHOD.GET) return 0;
  const tokenLength = first & 15;
  const start = HEADER_BYTES + tokenLength;
  return tokenLength <= MAX_TOKEN_BYTES && start < datagram.length ? start : 0;
}
