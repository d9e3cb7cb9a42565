import { TransportError } from "../errors.js";

/** A function argument of the wrong kind, as JavaScript callers can pass it. */
export function badArgument(what: string, value: unknown): TransportError {
  return new TransportError("BAD_ARGUMENT", `${what}; got ${shown(value)}`);
}

/** @throws {TransportError} BAD_ARGUMENT */
export function checkOptions(options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw badArgument("options are an object", options);
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw badArgument(`options are ${names.join(", ")}`, unknown);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
