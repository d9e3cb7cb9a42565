import { codeName } from "../message/code-names.js";
import { formatCode } from "../message/codes.js";
import type { ClientResponse, CoapOption, Peer } from "../types.js";

/** A response as a person reads it. */
export class Response {
  /** E.g. `2.05`. */
  readonly code: string;
  /** E.g. `Content`. */
  readonly codeName: string;
  /** The class of the code is 2: the request succeeded. */
  readonly ok: boolean;
  /** Content-Format number, e.g. 40 for link format. */
  readonly contentFormat: number | undefined;
  readonly payload: Uint8Array;
  readonly etag: Uint8Array | undefined;
  /** How long it is fresh, in seconds (RFC 7252 section 5.10.5). */
  readonly maxAgeS: number;
  /** Path of what was created, e.g. `/reg/42`; undefined without a Location (RFC 7252 section 5.10.7). */
  readonly location: string | undefined;
  readonly options: readonly CoapOption[];
  readonly peer: Peer;

  constructor(response: ClientResponse) {
    const { code, contentFormat, payload, etag, maxAgeS, locationPath, options, peer } = response;
    this.code = formatCode(code);
    this.codeName = codeName(code);
    this.ok = code >> 5 === 2;
    this.contentFormat = contentFormat;
    this.payload = payload;
    this.etag = etag;
    this.maxAgeS = maxAgeS;
    this.location =
      locationPath.length === 0
        ? undefined
        : `/${locationPath.map((segment) => encodeURIComponent(segment)).join("/")}`;
    this.options = options;
    this.peer = peer;
  }

  /** The body as UTF-8 text. */
  text(): string {
    return Buffer.from(this.payload).toString("utf8");
  }

  /** The body as a JSON value. @throws {SyntaxError} */
  json(): unknown {
    return JSON.parse(this.text());
  }
}
