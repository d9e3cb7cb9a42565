import type { Chance } from "./chance.ts";

/** A CoAP message whose parts may contradict each other: what is written is what these say, right or wrong. */
export interface RoughMessage {
  readonly version: number;
  readonly type: number;
  readonly code: number;
  readonly messageId: number;
  /** What the header says; the token may be of another length. */
  readonly tokenLength: number;
  readonly token: Uint8Array;
  readonly options: readonly RoughOption[];
  /** Null: no payload marker either. */
  readonly payload: Uint8Array | null;
  /** Bytes kept of the whole; the rest is cut off. */
  readonly keptBytes: number;
}

export interface RoughOption {
  /** From the option before; may be reserved or too large. */
  readonly delta: number;
  /** What the option says; its value may be of another length. */
  readonly length: number;
  readonly value: Uint8Array;
}

export const WHOLE = Number.POSITIVE_INFINITY;

/** A message as it should be. `options` are [number, value], in any order. */
export function wellFormed(
  parts: { type?: number; code: number; messageId?: number; token?: Uint8Array; payload?: string | Uint8Array },
  options: readonly (readonly [number, string | number | Uint8Array])[],
): RoughMessage {
  const { type = 0, code, messageId = 0, token = new Uint8Array(0), payload } = parts;
  const rough = withDeltas(options.map(([number, value]) => [number, valueBytes(value)]));
  const body = typeof payload === "string" ? Uint8Array.from(Buffer.from(payload, "utf8")) : payload;
  return {
    version: 1,
    type,
    code,
    messageId,
    tokenLength: token.length,
    token,
    options: rough,
    payload: body === undefined || body.length === 0 ? null : body,
    keptBytes: WHOLE,
  };
}

function valueBytes(value: string | number | Uint8Array): Uint8Array {
  if (typeof value === "string") return Uint8Array.from(Buffer.from(value, "utf8"));
  if (typeof value !== "number") return value;
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
}

/** The bytes that a rough message stands for. */
export function writeRough(message: RoughMessage): Uint8Array {
  const { version, type, code, messageId, tokenLength, token, options, payload, keptBytes } = message;
  const bytes: number[] = [
    ((version & 3) << 6) | ((type & 3) << 4) | (tokenLength & 15),
    code & 255,
    (messageId >> 8) & 255,
    messageId & 255,
    ...token,
  ];
  for (const { delta, length, value } of options) {
    bytes.push((nibble(delta) << 4) | nibble(length));
    extend(bytes, delta);
    extend(bytes, length);
    for (const byte of value) bytes.push(byte);
  }
  if (payload !== null) {
    bytes.push(0xff);
    for (const byte of payload) bytes.push(byte);
  }
  return Uint8Array.from(keptBytes < bytes.length ? bytes.slice(0, keptBytes) : bytes);
}

/** Deltas and lengths beyond what two bytes hold stand for the reserved nibble. */
const RESERVED = 65_805;

function nibble(value: number): number {
  if (value < 13) return value;
  if (value < 269) return 13;
  return value < RESERVED ? 14 : 15;
}

function extend(bytes: number[], value: number): void {
  if (value >= 13 && value < 269) bytes.push(value - 13);
  else if (value >= 269 && value < RESERVED) bytes.push((value - 269) >> 8, (value - 269) & 255);
}

const NUMBERS = [1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 20, 23, 27, 28, 35, 39, 60, 252, 258, 292, 65_001];

/** Change a message a few times, knowing what its parts mean. */
export function mutateMessage(chance: Chance, message: RoughMessage): RoughMessage {
  let mutated = message;
  for (let count = chance.pick([0, 1, 1, 1, 2, 2, 3, 5]); count > 0; count--) mutated = mutateOnce(chance, mutated);
  return mutated;
}

function mutateOnce(chance: Chance, message: RoughMessage): RoughMessage {
  switch (chance.below(14)) {
    case 0:
      return { ...message, type: chance.below(4) };
    case 1:
      return { ...message, code: chance.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 31, 32, 65, 69, 95, 129, 163, 224, 255]) };
    case 2:
      return { ...message, messageId: chance.below(8) };
    case 3:
      return { ...message, tokenLength: chance.below(16), token: chance.bytes(chance.below(16)) };
    case 4:
      return { ...message, keptBytes: chance.below(80) };
    case 5:
      return { ...message, payload: mutatePayload(chance, message.payload) };
    case 6:
      return { ...message, version: chance.below(4) };
    default:
      return { ...message, options: mutateOptions(chance, message.options) };
  }
}

function mutatePayload(chance: Chance, payload: Uint8Array | null): Uint8Array | null {
  if (payload === null || chance.is(0.2)) return chance.bytes(chance.below(chance.is(0.95) ? 40 : 1400));
  const changed = Uint8Array.from(payload);
  switch (chance.below(4)) {
    case 0:
      return null;
    case 1:
      return changed.subarray(0, chance.below(changed.length + 1));
    case 2:
      return new Uint8Array(0);
    default:
      if (changed.length > 0) changed[chance.below(changed.length)] = chance.below(256);
      return changed;
  }
}

/** With the numbers of the other options kept, or (one in ten) with the format itself broken. */
function mutateOptions(chance: Chance, options: readonly RoughOption[]): RoughOption[] {
  if (chance.is(0.1)) return breakOptions(chance, options);
  let previous = 0;
  const numbered = options.map(({ delta, value }): [number, Uint8Array] => {
    previous += delta;
    return [previous, value];
  });
  const at = chance.below(numbered.length + 1);
  const [number = 0, value = new Uint8Array(0)] = numbered[at] ?? [];
  switch (numbered[at] === undefined ? 0 : chance.below(6)) {
    case 0:
    case 1:
      numbered.push([chance.is(0.9) ? chance.pick(NUMBERS) : chance.below(65_536), optionValue(chance)]);
      break;
    case 2:
      numbered.splice(at, 1);
      break;
    case 3:
      for (let count = chance.is(0.95) ? 1 : chance.between(1, 600); count > 0; count--) numbered.push([number, value]);
      break;
    case 4:
      numbered[at] = [number, optionValue(chance)];
      break;
    default:
      numbered[at] = [number, value.subarray(0, chance.below(value.length + 1))];
  }
  return withDeltas(numbered);
}

function withDeltas(numbered: readonly (readonly [number, Uint8Array])[]): RoughOption[] {
  let previous = 0;
  const sorted = [...numbered].sort(([a], [b]) => a - b);
  return sorted.map(([number, value]) => {
    const delta = number - previous;
    previous = number;
    return { delta, length: value.length, value };
  });
}

function breakOptions(chance: Chance, options: readonly RoughOption[]): RoughOption[] {
  const at = chance.below(options.length + 1);
  const option = options[at] ?? { delta: chance.number(), length: 0, value: optionValue(chance) };
  const broken = chance.is(0.5) ? { ...option, delta: chance.number() } : { ...option, length: chance.number() };
  return [...options.slice(0, at), broken, ...options.slice(at + 1)];
}

const TRUNCATED_UTF8 = [
  Uint8Array.of(0xc3),
  Uint8Array.of(0xe2, 0x82),
  Uint8Array.of(0xf0, 0x9f, 0x98),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xc0, 0xaf),
];

function optionValue(chance: Chance): Uint8Array {
  if (chance.is(0.5)) return valueBytes(chance.number());
  if (chance.is(0.2)) return chance.pick(TRUNCATED_UTF8);
  return chance.bytes(chance.is(0.9) ? chance.below(10) : chance.below(300));
}

/** The message with one more option, in its place. */
export function withOption(message: RoughMessage, number: number, value: Uint8Array): RoughMessage {
  let at = 0;
  let before = 0;
  for (; at < message.options.length; at++) {
    const next = before + (message.options[at]?.delta ?? 0);
    if (next > number) break;
    before = next;
  }
  const rest = message.options
    .slice(at)
    .map((option, index) => (index > 0 ? option : { ...option, delta: option.delta + before - number }));
  const added = { delta: number - before, length: value.length, value };
  return { ...message, options: [...message.options.slice(0, at), added, ...rest] };
}

/** Messages that are a little simpler than this one. */
export function* simplerMessages(message: RoughMessage): Generator<RoughMessage> {
  if (message.payload !== null) yield { ...message, payload: null };
  for (let index = 0; index < message.options.length; index++) {
    const option = message.options[index] as RoughOption;
    yield { ...message, options: message.options.filter((_, at) => at !== index) };
    if (option.value.length > 1 && option.length === option.value.length) {
      const value = option.value.subarray(0, Math.floor(option.value.length / 2));
      yield {
        ...message,
        options: message.options.map((o, at) => (at === index ? { ...o, value, length: value.length } : o)),
      };
    }
  }
  if (message.payload !== null && message.payload.length > 1)
    yield { ...message, payload: message.payload.subarray(0, Math.floor(message.payload.length / 2)) };
  if (message.token.length > 0 && message.tokenLength === message.token.length)
    yield { ...message, token: new Uint8Array(0), tokenLength: 0 };
  if (message.keptBytes !== WHOLE) yield { ...message, keptBytes: WHOLE };
}
