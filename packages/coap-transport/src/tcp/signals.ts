import type { Message, OutgoingMessage } from "../message/message.js";
import { decodeUint, encodeUint, isCritical } from "../message/option-values.js";
import type { CoapOption } from "../types.js";

/** Codes of signalling messages (RFC 8323 section 5). */
export const SIGNAL = { CSM: 225, PING: 226, PONG: 227, RELEASE: 228, ABORT: 229 } as const;

/** Options of signalling messages; numbers mean something per code (RFC 8323 section 5.2). */
const MAX_MESSAGE_SIZE = 2;
const BLOCK_WISE_TRANSFER = 4;
const CUSTODY = 2;
const BAD_CSM_OPTION = 2;

/** What a peer can do (RFC 8323 section 5.3). */
export interface StreamCapabilities {
  readonly maxMessageBytes: number;
  readonly isBlockwise: boolean;
}

/** The capabilities before a CSM (RFC 8323 section 5.3.1). */
export const BASE_CAPABILITIES: StreamCapabilities = { maxMessageBytes: 1152, isBlockwise: false };

/** Is this a signalling code, 7.00 to 7.31? */
export function isSignalCode(code: number): boolean {
  return code >> 5 === 7;
}

/** Our CSM. Pure. */
export function csm({ maxMessageBytes, isBlockwise }: StreamCapabilities): OutgoingMessage {
  const options: CoapOption[] = [{ number: MAX_MESSAGE_SIZE, value: encodeUint(maxMessageBytes) }];
  if (isBlockwise) options.push({ number: BLOCK_WISE_TRANSFER, value: new Uint8Array() });
  return signal(SIGNAL.CSM, options);
}

/** Capabilities after a CSM: what it does not mention stays as it was (RFC 8323 section 5.3). Pure. */
export function afterCsm(before: StreamCapabilities, { options }: Message): StreamCapabilities {
  let { maxMessageBytes, isBlockwise } = before;
  for (const { number, value } of options) {
    if (number === MAX_MESSAGE_SIZE && value.length <= 4) maxMessageBytes = decodeUint(value);
    else if (number === BLOCK_WISE_TRANSFER) isBlockwise = true;
  }
  return { maxMessageBytes, isBlockwise };
}

/** The first option that must be understood and is not; none that is known is critical (RFC 8323 section 5.2). Pure. */
export function criticalOption({ options }: Message): number | undefined {
  return options.find(({ number }) => isCritical(number))?.number;
}

/** Whether a Ping or Pong has the Custody option (RFC 8323 section 5.4.1). Pure. */
export function hasCustody({ options }: Message): boolean {
  return options.some(({ number }) => number === CUSTODY);
}

export function ping(): OutgoingMessage {
  return signal(SIGNAL.PING, []);
}

export function pong(custody: boolean): OutgoingMessage {
  return signal(SIGNAL.PONG, custody ? [{ number: CUSTODY, value: new Uint8Array() }] : []);
}

export function release(): OutgoingMessage {
  return signal(SIGNAL.RELEASE, []);
}

/** Why the connection ends; `badCsmOption` names the option of a CSM that was not understood (RFC 8323 section 5.6). */
export function abort(diagnostic: string, badCsmOption?: number): OutgoingMessage {
  const options = badCsmOption === undefined ? [] : [{ number: BAD_CSM_OPTION, value: encodeUint(badCsmOption) }];
  return { code: SIGNAL.ABORT, options, payload: Buffer.from(diagnostic) };
}

function signal(code: number, options: readonly CoapOption[]): OutgoingMessage {
  return { code, options, payload: new Uint8Array() };
}
