import type { ParsedCoapUri } from "@tributary/coap-transport";
import type { EndpointRequest } from "./endpoint-exchange.js";
import { EndpointError } from "./errors.js";
import { type Address, type Control, firstResponse } from "./first-response.js";

type Ask<T> = (address: Address, control: Control) => Promise<T>;

/**
 * Remembers the address of each name that responded first, and uses it until it fails. Several servers may share a name, and the
 * endpoint must register with only one of them.
 */
export class AddressesInUse {
  readonly #addressesOf: (uri: ParsedCoapUri) => Promise<readonly Address[]>;
  readonly #known = new Map<string, Address>();

  constructor(addressesOf: (uri: ParsedCoapUri) => Promise<readonly Address[]>) {
    this.#addressesOf = addressesOf;
  }

  /** @throws {EndpointError} */
  async request<T>(uri: ParsedCoapUri, { method }: EndpointRequest, control: Control, ask: Ask<T>): Promise<T> {
    const key = `${uri.scheme} ${uri.host} ${uri.port}`;
    const known = this.#known.get(key);
    if (known !== undefined) {
      try {
        return await ask(known, control);
      } catch (error) {
        if (isSilence(error)) this.#known.delete(key);
        throw error;
      }
    }
    const remember: Ask<T> = async (address, each) => {
      const response = await ask(address, each);
      if (!this.#known.has(key)) this.#known.set(key, address);
      return response;
    };
    const addresses = await this.#addressesOf(uri);
    return method === "GET"
      ? await firstResponse(addresses, control, remember)
      : await inTurn(addresses, control, remember);
  }
}

/** Tries one address after the other, so that nothing is changed at two servers. */
async function inTurn<T>(addresses: readonly Address[], control: Control, ask: Ask<T>): Promise<T> {
  const each = { ...control, timeoutMs: control.timeoutMs / addresses.length };
  let failure: unknown = new EndpointError("UNREACHABLE", "the name has no address");
  for (const address of addresses) {
    try {
      return await ask(address, each);
    } catch (error) {
      if (!isSilence(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

function isSilence(error: unknown): boolean {
  return error instanceof EndpointError && (error.code === "TIMEOUT" || error.code === "UNREACHABLE");
}
