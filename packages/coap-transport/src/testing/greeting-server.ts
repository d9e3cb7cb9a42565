import { CODE, MESSAGE_TYPE } from "../message/codes.js";
import type { ServerResponse } from "../types.js";

/** Message types by name, as tests write them. */
export const { CON, NON, ACK, RST } = MESSAGE_TYPE;
/** Bytes as text. */
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
/** The plainest answer. */
export const hello = (): ServerResponse => ({ code: CODE.CONTENT, contentFormat: 0, payload: Buffer.from("hello") });

/** Resolves `ms` later in the time of `clock`. */
export function later(ms: number, clock: { setTimer(ms: number, call: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, () => resolve()));
}
