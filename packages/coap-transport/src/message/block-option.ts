import type { CoapOption } from "../types.js";
import type { OPTION } from "./codes.js";
import { decodeUint, freshUintOption } from "./option-values.js";

/** A Block1 or Block2 option (RFC 7959 section 2.2). */
export interface Block {
  readonly num: number;
  readonly more: boolean;
  /** Size exponent 0 to 6: 16 to 1024 bytes. 7 is reserved over UDP, BERT over TCP. */
  readonly szx: number;
}

/** Largest block number: 20 bits. */
export const MAX_BLOCK_NUM = 1_048_575;
/** Size exponent of 1024 bytes, the largest over UDP. */
export const MAX_SZX = 6;
/** Over byte streams: several blocks of 1024 bytes in one message, numbered in that size (BERT, RFC 8323 section 6). */
export const BERT_SZX = 7;

export function decodeBlock(value: Uint8Array): Block {
  const number = decodeUint(value);
  return { num: number >> 4, more: (number & 8) !== 0, szx: number & 7 };
}

export function blockOption(option: typeof OPTION.BLOCK1 | typeof OPTION.BLOCK2, block: Block): CoapOption {
  return freshUintOption(option, block.num * 16 + (block.more ? 8 : 0) + block.szx);
}

/** Bytes of a full block. */
export function blockSize(szx: number): number {
  return 16 << Math.min(szx, MAX_SZX);
}

/** Size exponent of the largest block that is not larger than `bytes` (at least 16). */
export function szxFor(bytes: number): number {
  let szx = MAX_SZX;
  while (szx > 0 && blockSize(szx) > bytes) szx--;
  return szx;
}

/** The first Block1 or Block2 option among `options`. */
export function findBlock(options: readonly CoapOption[], number: number): Block | undefined {
  const option = findOption(options, number);
  return option === undefined || option.value.length > 3 ? undefined : decodeBlock(option.value);
}

export function findOption(options: readonly CoapOption[], number: number): CoapOption | undefined {
  for (const option of options) if (option.number === number) return option;
  return undefined;
}
