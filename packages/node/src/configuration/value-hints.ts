/** What a JSON Schema can say of a value (draft 2020-12): a part of what its parser checks. */
export type ValueHint = Readonly<Record<string, unknown>>;

const hints = new WeakMap<object, ValueHint>();

/** Attaches a hint to the parser of a value, and returns the parser. */
export function hinted<P extends object>(parse: P, hint: ValueHint): P {
  hints.set(parse, hint);
  return parse;
}

/** The hint of a parser; empty for those that have none. */
export function hintOf(parse: object): ValueHint {
  return hints.get(parse) ?? {};
}
