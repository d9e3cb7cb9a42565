import { type AnnouncerKey, keyName, writeProof } from "@tributary/global-lookup/endpoint";
import { firstValue, type Link, originOf } from "@tributary/link-model";

/** Attribute of an endpoint lookup with the public key of its RD in the pool, base64url. */
const POOL_KEY = "pool-key";
const KEY_BYTES = 32;
/** A proof is valid for at least a day, and for so many lifetimes; it is renewed when half of that is over. */
const MIN_PROOF_S = 86_400;
const PROOF_LIFETIMES = 4;
/** RDs that are remembered: those of one list. */
const MAX_ORIGINS = 64;

interface KnownDirectory {
  /** Public key; null: it is in no pool. */
  readonly key: Uint8Array | null;
  /** End of the proof that it has, s since the Unix epoch. */
  provenUntilS: number;
}

/** Proves to RDs of a pool that an endpoint has the key that its name is made of, so that others cannot claim it (draft 6.3). */
export class EndpointProver {
  /** Name of the endpoint. */
  readonly name: string;
  readonly #key: AnnouncerKey;
  readonly #nowS: () => number;
  readonly #validS: number;
  readonly #directories = new Map<string, KnownDirectory>();

  /** `nowS`: seconds since the Unix epoch; `ltS`: lifetime of the registration. */
  constructor(key: AnnouncerKey, nowS: () => number, ltS: number) {
    this.name = keyName(key.publicKey);
    this.#key = key;
    this.#nowS = nowS;
    this.#validS = Math.max(MIN_PROOF_S, PROOF_LIFETIMES * ltS);
  }

  /** Takes note of what the RD with this registration interface advertises. */
  note(interfaceUri: string, links: readonly Link[]): void {
    const origin = originOf(interfaceUri);
    if (origin === undefined) return;
    const [text] = links.flatMap((link) => firstValue(link, POOL_KEY) ?? []);
    const key = Buffer.from(text ?? "", "base64url");
    this.#directories.delete(origin);
    this.#directories.set(origin, { key: key.length === KEY_BYTES ? key : null, provenUntilS: 0 });
    if (this.#directories.size > MAX_ORIGINS) this.#directories.delete(this.#directories.keys().next().value ?? "");
  }

  /** Whether the RD at a URI is in a pool; undefined: nothing is known of it. */
  isInPool(uri: string): boolean | undefined {
    const known = this.#directories.get(originOf(uri) ?? "");
    return known === undefined ? undefined : known.key !== null;
  }

  /** Parameters for a registration at the interface with this URI. */
  registration(interfaceUri: string): string[] {
    const known = this.#directories.get(originOf(interfaceUri) ?? "");
    return known === undefined ? [] : this.#prove(known);
  }

  /** Parameters for the renewal of a registration: none while the RD has a proof that lasts. */
  renewal(location: string): string[] {
    const known = this.#directories.get(originOf(location) ?? "");
    if (known === undefined || known.provenUntilS - this.#nowS() > this.#validS / 2) return [];
    return this.#prove(known);
  }

  #prove(known: KnownDirectory): string[] {
    if (known.key === null) return [];
    const expiresAtS = Math.floor(this.#nowS() + this.#validS);
    known.provenUntilS = expiresAtS;
    return [`proof=${writeProof(this.#key, { announcer: known.key, expiresAtS })}`];
  }
}
