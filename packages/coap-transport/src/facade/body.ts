import { CONTENT_FORMAT } from "../message/codes.js";
import { badArgument } from "./arguments.js";

/** What can be sent as a body: text, bytes, or a value that is sent as JSON. */
export type Body = string | Uint8Array | { readonly [name: string]: unknown } | readonly unknown[];

/** A body as bytes with its Content-Format: 0 for text, 42 for bytes, 50 for JSON. */
export interface EncodedBody {
  readonly payload: Uint8Array;
  readonly contentFormat: number;
}

/** @throws {TransportError} BAD_ARGUMENT when it has no form as text, bytes or JSON. */
export function encodeBody(body: unknown): EncodedBody {
  if (typeof body === "string") return { payload: Buffer.from(body, "utf8"), contentFormat: CONTENT_FORMAT.TEXT };
  if (body instanceof Uint8Array) return { payload: body, contentFormat: CONTENT_FORMAT.OCTET_STREAM };
  if (typeof body !== "object" || body === null) throw badArgument("a body is a string, bytes or an object", body);
  let text: string | undefined;
  try {
    text = JSON.stringify(body);
  } catch (cause) {
    throw badArgument(`a body that is sent as JSON cannot be written: ${(cause as Error).message}`, body);
  }
  if (text === undefined) throw badArgument("a body is a string, bytes or an object", body);
  return { payload: Buffer.from(text, "utf8"), contentFormat: CONTENT_FORMAT.JSON };
}
