import { EndpointError } from "./errors.js";

/** An address of a name. */
export interface Address {
  readonly address: string;
  readonly family: number;
}

/** Control of one request. */
export interface Control {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Asks all addresses at once and returns the first response: nothing may listen at some addresses of a name such as localhost. */
export async function firstResponse<T>(
  addresses: readonly Address[],
  { timeoutMs, signal }: Control,
  ask: (address: Address, control: Control) => Promise<T>,
): Promise<T> {
  const others = new AbortController();
  const each = { timeoutMs, signal: AbortSignal.any([signal, others.signal]) };
  try {
    return await Promise.any(addresses.map((address) => ask(address, each)));
  } catch (error) {
    if (error instanceof AggregateError && error.errors.length > 0) throw error.errors[0];
    throw new EndpointError("UNREACHABLE", "the name has no address", { cause: error });
  } finally {
    others.abort();
  }
}
