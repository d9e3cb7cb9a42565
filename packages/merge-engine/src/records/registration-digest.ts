import type { Attribute, Link } from "@tributary/link-model";
import type { Registration } from "../types.js";
import { pathOf } from "./registration-path.js";

/** Digests are whole numbers below this: their sums are exact, and fit one number of a record. */
export const DIGEST_LIMIT = 2 ** 48;

/**
 * A digest of what a lookup shows of a registration: endpoint, sector, path of its registration resource, base, attributes and
 * links, in any order. The authority of the RD is left out, because proxies reach one RD in different ways. Not cryptographic: it tells
 * that two proxies differ, not that a registration is genuine. Pure.
 */
export function registrationDigest(registration: Registration): number {
  const { ep, d, href, base, attributes, links } = registration;
  const head = new TextHash();
  head.add(ep);
  head.add(d ?? "\u0000");
  const whole = head.copy();
  whole.add(pathOf(href));
  whole.add(base);
  let digest = whole.value();
  for (const attribute of attributes) digest += attributeDigest(head, attribute);
  for (const link of links) digest += linkDigest(head, link);
  return digest % DIGEST_LIMIT;
}

function attributeDigest(head: TextHash, [name, value]: Attribute): number {
  const hash = head.copy();
  hash.add(name);
  hash.add(value ?? "\u0000");
  return hash.value();
}

function linkDigest(head: TextHash, { target, attributes }: Link): number {
  const place = head.copy();
  place.add(target);
  let digest = place.value();
  for (const attribute of attributes) digest += attributeDigest(place, attribute);
  return digest;
}

/** Two multiplicative lanes over the code units of texts, each of which is ended. */
class TextHash {
  #one = 0x2545f491;
  #two = 0x41c6ce57;

  copy(): TextHash {
    const copy = new TextHash();
    copy.#one = this.#one;
    copy.#two = this.#two;
    return copy;
  }

  add(text: string): void {
    let one = this.#one;
    let two = this.#two;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      one = Math.imul(one ^ unit, 0x9e3779b1);
      two = Math.imul(two ^ unit, 0x5f356495);
      one ^= one >>> 15;
    }
    // No code unit: ends of texts are not mistaken for their content.
    this.#one = Math.imul(one ^ 0x1_0000, 0x85ebca6b);
    this.#two = Math.imul(two ^ 0x1_0000, 0xc2b2ae35);
  }

  value(): number {
    const one = Math.imul(this.#one ^ (this.#one >>> 16), 0x85ebca6b);
    const two = Math.imul(this.#two ^ (this.#two >>> 13), 0xc2b2ae35);
    return ((one ^ two) >>> 0) * 0x1_0000 + (((two ^ (one >>> 15)) >>> 0) & 0xffff);
  }
}
