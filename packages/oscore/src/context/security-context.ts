import { type CoapOption, type Message, OPTION, type OutgoingMessage } from "@tributary/coap-transport";
import { type AeadInput, open, seal } from "../crypto/algorithms.js";
import { makeAad } from "../crypto/external-aad.js";
import { type ContextKeys, type ContextParameters, deriveKeys, makeNonce } from "../crypto/keys.js";
import { OscoreError } from "../errors.js";
import { joinOptions, splitOptions } from "../message/option-classes.js";
import {
  decodeHeader,
  decodePartialIv,
  encodeHeader,
  encodePartialIv,
  type OscoreHeader,
} from "../message/oscore-option.js";
import { decodePlaintext, encodePlaintext, type Plaintext } from "../message/plaintext.js";
import { ReplayWindow } from "./replay-window.js";
import { SequenceNumbers, type StateStore } from "./sequence-numbers.js";

/** What a response has to match: identifiers of its request (RFC 8613 section 5.4). */
export interface RequestBinding {
  readonly kid: Uint8Array;
  readonly partialIv: Uint8Array;
}

/** A request that was decrypted and is not a replay. */
export interface OpenedRequestMessage {
  readonly message: Message;
  readonly binding: RequestBinding;
  /** It proves that its sender is there now; false: after a restart it may be a replay, and must not be acted on. */
  readonly isFresh: boolean;
}

/** What a security context needs of the world: where it keeps its state, and random bytes. */
export interface SecurityContextDeps {
  readonly store: StateStore;
  /** Cryptographically secure. */
  readonly randomBytes: (length: number) => Uint8Array;
  /** Gets what prevents the state from being saved ahead of time. */
  readonly onError: (error: unknown) => void;
}

const CODE_POST = 2;
const CODE_FETCH = 5;
const CODE_CHANGED = 68;
const CODE_CONTENT = 69;
const EMPTY = new Uint8Array(0);
const RECOVERY_ECHO_BYTES = 8;

/** One security context (RFC 8613 section 3): the keys of two parties, the numbers that one sent, and those that it received. */
export class SecurityContext {
  readonly parameters: ContextParameters;
  /** Echo value that proves after a restart that a request is no replay (RFC 8613 appendix B.1.2). */
  readonly recoveryEcho: Uint8Array;
  readonly #keys: ContextKeys;
  readonly #numbers: SequenceNumbers;
  readonly #window: ReplayWindow;
  readonly #store: StateStore;

  constructor(deps: SecurityContextDeps, parameters: ContextParameters, windowSize: number) {
    this.parameters = parameters;
    this.#keys = deriveKeys(parameters);
    this.#store = deps.store;
    this.recoveryEcho = deps.randomBytes(RECOVERY_ECHO_BYTES);
    const state = deps.store.load();
    this.#numbers = new SequenceNumbers(deps.store, state?.nextToSend ?? 0, deps.onError);
    this.#window = new ReplayWindow(windowSize, state?.received);
  }

  /** Encrypts a request (RFC 8613 section 8.1). @throws {OscoreError} `EXHAUSTED` */
  protectRequest(message: OutgoingMessage): { readonly message: OutgoingMessage; readonly binding: RequestBinding } {
    const { senderId, idContext } = this.parameters;
    const partialIv = encodePartialIv(this.#numbers.take());
    const binding = { kid: senderId, partialIv };
    const { outer, inner } = splitOptions(message.options);
    const payload = this.#seal({ code: message.code, options: inner, payload: message.payload }, binding, {
      id: senderId,
      partialIv,
    });
    const header = { partialIv, kid: senderId, ...(idContext === undefined ? {} : { kidContext: idContext }) };
    const isObserved = outer.some(({ number }) => number === OPTION.OBSERVE);
    return {
      message: { code: isObserved ? CODE_FETCH : CODE_POST, options: withHeader(outer, header), payload },
      binding,
    };
  }

  /**
   * Decrypts a request (RFC 8613 section 8.2) and notes its sequence number.
   * @throws {OscoreError} `MALFORMED`, `REPLAY`, `DECRYPTION_FAILED`
   */
  openRequest(message: Message, header: OscoreHeader): OpenedRequestMessage {
    const { partialIv } = header;
    const number = partialIv === undefined ? null : decodePartialIv(partialIv);
    if (partialIv === undefined || number === null) throw new OscoreError("MALFORMED", "the partial IV is missing");
    const kid = this.parameters.recipientId;
    if (this.#window.isValid && !this.#window.isNew(number)) throw new OscoreError("REPLAY", "seen before");
    const binding = { kid, partialIv: Uint8Array.from(partialIv) };
    const plaintext = this.#open(message.payload, binding, { id: kid, partialIv });
    if (!this.#numbers.isReserved) this.#numbers.reserve();
    const isFresh = this.#window.isValid || this.#hasRecoveryEcho(plaintext.options);
    if (isFresh && !this.#window.isValid) this.#window.restart(number);
    else if (isFresh) this.#window.accept(number);
    const options = requestObserve(message.options, joinOptions(message.options, plaintext.options));
    return { message: { ...message, code: plaintext.code, options, payload: plaintext.payload }, binding, isFresh };
  }

  /**
   * Encrypts a response (RFC 8613 section 8.3). `isFirst`: nothing was encrypted with the nonce of this request, and the request is
   * no replay; then that nonce is used. @throws {OscoreError} `EXHAUSTED`
   */
  protectResponse(binding: RequestBinding, message: OutgoingMessage, isFirst: boolean): OutgoingMessage {
    const { outer, inner } = splitOptions(message.options);
    const isNotification = outer.some(({ number }) => number === OPTION.OBSERVE);
    const { senderId } = this.parameters;
    const isOwn = isNotification || !isFirst;
    const nonce = isOwn
      ? { id: senderId, partialIv: encodePartialIv(this.#numbers.take()) }
      : { id: binding.kid, partialIv: binding.partialIv };
    // RFC 8613 section 4.1.3.5.2: the number of a notification is its partial IV.
    const options = inner.map((option) => (option.number === OPTION.OBSERVE ? { ...option, value: EMPTY } : option));
    const payload = this.#seal({ code: message.code, options, payload: message.payload }, binding, nonce);
    return {
      code: isNotification ? CODE_CONTENT : CODE_CHANGED,
      options: withHeader(outer, isOwn ? { partialIv: nonce.partialIv } : {}),
      payload,
    };
  }

  /**
   * Decrypts a response (RFC 8613 section 8.4). The number is that of a notification, null for a response with the nonce of its request.
   * Observe is among the options only when it stands outside as well: otherwise a proxy does not observe.
   * @throws {OscoreError} `UNPROTECTED`, `MALFORMED`, `DECRYPTION_FAILED`
   */
  openResponse(
    message: Message,
    binding: RequestBinding,
  ): { readonly message: Message; readonly number: number | null } {
    const option = message.options.find(({ number }) => number === OPTION.OSCORE);
    if (option === undefined) throw new OscoreError("UNPROTECTED", "a response without OSCORE option");
    const header = decodeHeader(option.value);
    const { recipientId } = this.parameters;
    const number = header?.partialIv === undefined ? null : decodePartialIv(header.partialIv);
    if (header === null || (header.partialIv !== undefined && number === null))
      throw new OscoreError("MALFORMED", "the OSCORE option cannot be read");
    const nonce =
      header.partialIv === undefined
        ? { id: binding.kid, partialIv: binding.partialIv }
        : { id: recipientId, partialIv: header.partialIv };
    const plaintext = this.#open(message.payload, binding, nonce);
    const hasObserve = message.options.some((outer) => outer.number === OPTION.OBSERVE);
    const inner = plaintext.options.filter((one) => one.number !== OPTION.OBSERVE || hasObserve);
    const options = joinOptions(message.options, inner);
    return { message: { ...message, code: plaintext.code, options, payload: plaintext.payload }, number };
  }

  /** Saves the exact state, so that the next start needs no proof of freshness. Nothing can be protected afterwards. */
  close(): void {
    this.#numbers.close();
    try {
      if (this.#numbers.isReserved)
        this.#store.save({ nextToSend: this.#numbers.next, received: this.#window.store() });
    } finally {
      this.#store.close();
    }
  }

  #hasRecoveryEcho(options: readonly CoapOption[]): boolean {
    const echo = options.find(({ number }) => number === OPTION.ECHO)?.value;
    return echo !== undefined && Buffer.compare(echo, this.recoveryEcho) === 0;
  }

  #seal(plaintext: Plaintext, binding: RequestBinding, nonce: NonceParts): Uint8Array {
    return seal(this.#aead(this.#keys.senderKey, binding, nonce), encodePlaintext(plaintext));
  }

  #open(sealed: Uint8Array, binding: RequestBinding, nonce: NonceParts): Plaintext {
    const bytes = open(this.#aead(this.#keys.recipientKey, binding, nonce), sealed);
    if (bytes === null) throw new OscoreError("DECRYPTION_FAILED", "not made with this security context");
    const plaintext = decodePlaintext(bytes);
    if (plaintext === null) throw new OscoreError("MALFORMED", "the plaintext cannot be read");
    return plaintext;
  }

  #aead(key: Uint8Array, binding: RequestBinding, { id, partialIv }: NonceParts): AeadInput {
    const { algorithm } = this.parameters;
    return {
      algorithm,
      key,
      nonce: makeNonce(this.#keys.commonIv, id, partialIv),
      aad: makeAad(algorithm, binding.kid, binding.partialIv),
    };
  }
}

/** What a nonce is made of: the number, and the ID of the side that counted it. */
interface NonceParts {
  readonly id: Uint8Array;
  readonly partialIv: Uint8Array;
}

function withHeader(options: readonly CoapOption[], header: OscoreHeader): CoapOption[] {
  const all = [...options, { number: OPTION.OSCORE, value: encodeHeader(header) }];
  return all.sort((one, other) => one.number - other.number);
}

/** RFC 8613 section 4.1.3.5.1: an observation is meant when Observe stands outside and inside, and with the same value. */
function requestObserve(outer: readonly CoapOption[], options: CoapOption[]): CoapOption[] {
  const outside = outer.find(({ number }) => number === OPTION.OBSERVE)?.value;
  return options.filter(
    ({ number, value }) => number !== OPTION.OBSERVE || (outside !== undefined && Buffer.compare(outside, value) === 0),
  );
}
