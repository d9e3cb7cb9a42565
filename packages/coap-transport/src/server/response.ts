import { OPTION } from "../message/codes.js";
import { EMPTY_BYTES, type OutgoingMessage } from "../message/message.js";
import { sortOptions } from "../message/option-codec.js";
import { stringOption, uintOption } from "../message/option-values.js";
import type { CoapOption, ServerResponse } from "../types.js";

/** Returns an error response with a diagnostic payload (RFC 7252 section 5.5.2). Pure. */
export function errorResponse(code: number, diagnostic: string): ServerResponse {
  return { code, payload: Buffer.from(diagnostic, "utf8") };
}

/** Returns the same as a message. */
export function errorMessage(code: number, diagnostic: string, options: readonly CoapOption[] = []): OutgoingMessage {
  return { code, options, payload: Buffer.from(diagnostic, "utf8") };
}

/** Returns the options of a response, in ascending order. */
export function responseOptions(response: ServerResponse): CoapOption[] {
  const options: CoapOption[] = [];
  if (response.etag !== undefined) options.push({ number: OPTION.ETAG, value: response.etag });
  for (const segment of response.locationPath ?? []) options.push(stringOption(OPTION.LOCATION_PATH, segment));
  if (response.contentFormat !== undefined) options.push(uintOption(OPTION.CONTENT_FORMAT, response.contentFormat));
  if (response.maxAgeS !== undefined) options.push(uintOption(OPTION.MAX_AGE, maxAge(response.maxAgeS)));
  for (const item of response.locationQuery ?? []) options.push(stringOption(OPTION.LOCATION_QUERY, item));
  if (response.echo !== undefined) options.push({ number: OPTION.ECHO, value: response.echo });
  if (response.options === undefined || response.options.length === 0) return options;
  options.push(...response.options);
  return sortOptions(options);
}

/** Returns a response as one message. */
export function responseMessage(response: ServerResponse): OutgoingMessage {
  const { code, payload = EMPTY_BYTES, rest } = response;
  const message = { code, options: responseOptions(response), payload };
  return rest === undefined ? message : { ...message, rest };
}

/** RFC 7252 section 5.10.5: whole seconds in 32 bits. */
function maxAge(seconds: number): number {
  return Math.min(Math.max(0, Math.floor(seconds)), 4_294_967_295);
}
