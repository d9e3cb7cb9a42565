import { EndpointError } from "./errors.js";

export interface Address {
  readonly address: string;
  readonly family: number;
}

export interface Control {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Ask all addresses at once: a name such as localhost has some where nothing listens. The first answer counts. */
export async function firstAnswer<T>(
  addresses: readonly Address[],
  { timeoutMs, signal }: Control,
  ask: (address: Address, control: Control) => Promise<T>,
): Promise<T> {
  const losers = new AbortController();
  const each = { timeoutMs, signal: AbortSignal.any([signal, losers.signal]) };
  try {
    return await Promise.any(addresses.map((address) => ask(address, each)));
  } catch (error) {
    if (error instanceof AggregateError && error.errors.length > 0) throw error.errors[0];
    throw new EndpointError("UNREACHABLE", "the name has no address", { cause: error });
  } finally {
    losers.abort();
  }
}
