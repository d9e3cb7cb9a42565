import { type CoapOption, OPTION } from "@tributary/coap-transport";

/** Options as they are seen on the way and as they are protected. Both ascend by number. */
export interface SplitOptions {
  readonly outer: CoapOption[];
  readonly inner: CoapOption[];
}

/** Options that proxies need, which are not encrypted (class U; RFC 8613 section 4.1, RFC 8768 section 6). */
const UNPROTECTED: ReadonlySet<number> = new Set([
  OPTION.URI_HOST,
  OPTION.URI_PORT,
  OPTION.PROXY_URI,
  OPTION.PROXY_SCHEME,
  OPTION.HOP_LIMIT,
]);

/**
 * Divides the options of a message to be protected (RFC 8613 section 4.1). Observe is in both parts: that inside is what is meant, that
 * outside makes proxies handle it. Every other option is encrypted only, unknown ones as well. Pure.
 */
export function splitOptions(options: readonly CoapOption[]): SplitOptions {
  const outer: CoapOption[] = [];
  const inner: CoapOption[] = [];
  for (const option of options) {
    if (option.number === OPTION.OSCORE) continue;
    const isOuter = UNPROTECTED.has(option.number);
    if (isOuter || option.number === OPTION.OBSERVE) outer.push(option);
    if (!isOuter) inner.push(option);
  }
  return { outer, inner };
}

/**
 * The options of a message that was decrypted (RFC 8613 sections 8.2 and 8.4): all from inside, and those from outside that belong there.
 * Whatever else stands outside is dropped, since anybody on the way can add it. Pure.
 */
export function joinOptions(outer: readonly CoapOption[], inner: readonly CoapOption[]): CoapOption[] {
  const options = outer.filter(({ number }) => UNPROTECTED.has(number));
  options.push(...inner.filter(({ number }) => !UNPROTECTED.has(number) && number !== OPTION.OSCORE));
  return options.sort((one, other) => one.number - other.number);
}
