import type { Chance } from "./chance.ts";

const NASTY = [
  "\u0000",
  "\u007f",
  "\ud800",
  "😀",
  "%",
  "%00",
  "\\",
  '"',
  "<",
  ">",
  ",",
  ";",
  "=",
  "*",
  "&",
  "\n",
  "\t",
  " ",
];
const MAX_LENGTH = 20_000;

/** Change a text a few times: pieces of it and of `tokens` are put in, taken out, repeated, exchanged. */
export function mutateText(chance: Chance, text: string, tokens: readonly string[]): string {
  let mutated = text;
  for (let count = chance.below(6); count > 0; count--) mutated = mutateOnce(chance, mutated, tokens);
  return mutated.slice(0, MAX_LENGTH);
}

function mutateOnce(chance: Chance, text: string, tokens: readonly string[]): string {
  const at = chance.below(text.length + 1);
  const to = Math.min(text.length, at + chance.below(chance.is(0.8) ? 8 : text.length + 1));
  const head = text.slice(0, at);
  switch (chance.below(7)) {
    case 0:
      return head + text.slice(to);
    case 1:
      return head + chance.pick(tokens) + text.slice(at);
    case 2:
      return head + chance.pick(NASTY) + text.slice(at);
    case 3:
      return head + text.slice(at, to).repeat(chance.is(0.95) ? 2 : chance.between(2, 400)) + text.slice(to);
    case 4:
      return head;
    case 5:
      return head + chance.pick(NASTY).repeat(chance.is(0.95) ? 3 : chance.between(1, 3000)) + text.slice(to);
    default:
      return head + String(chance.number()) + text.slice(to);
  }
}

/** The bytes of a text, now and then no UTF-8. */
export function mutateBytes(chance: Chance, text: string): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, "utf8"));
  if (bytes.length === 0 || chance.is(0.7)) return bytes;
  for (let count = chance.between(1, 3); count > 0; count--) bytes[chance.below(bytes.length)] = chance.below(256);
  return chance.is(0.3) ? bytes.subarray(0, chance.below(bytes.length + 1)) : bytes;
}
