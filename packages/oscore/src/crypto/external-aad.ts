import { OSCORE_VERSION } from "../constants.js";
import type { AeadAlgorithm } from "./algorithms.js";
import { cbor } from "./cbor.js";

const EMPTY = new Uint8Array(0);

/**
 * The additional authenticated data of a request and of every response to it (RFC 8613 section 5.4): `kid` and `partialIv` are those
 * of the request. There are no class I options. Pure.
 */
export function makeAad(algorithm: AeadAlgorithm, kid: Uint8Array, partialIv: Uint8Array): Buffer {
  const external = cbor.array([
    cbor.integer(OSCORE_VERSION),
    cbor.array([cbor.integer(algorithm.id)]),
    cbor.bytes(kid),
    cbor.bytes(partialIv),
    cbor.bytes(EMPTY),
  ]);
  // Enc_structure (RFC 9052 section 5.3) with an empty protected header.
  return cbor.array([cbor.text("Encrypt0"), cbor.bytes(EMPTY), cbor.bytes(external)]);
}
