import { checkUriReference, splitUri } from "@tributary/link-model";
import { isEndpointName } from "../record/name-key.js";

/** What an `oscore` URI names (draft 6.3). */
export interface OscoreUri {
  /** Name of the endpoint: its authority, with percent-encoded octets decoded. */
  readonly name: string;
  /** Path and query, beginning with a slash. */
  readonly reference: string;
}

/** A URI as read, or why it cannot be. */
export type ReadOscoreUri =
  | { readonly ok: true; readonly value: OscoreUri }
  | { readonly ok: false; readonly message: string };

/**
 * Reads `oscore://NAME/PATH?QUERY`. The draft has the KID context of OSCORE in base64 as the name, under which the endpoint registers; in a
 * URI that is base64url. Pure.
 */
export function parseOscoreUri(text: string): ReadOscoreUri {
  const { scheme, authority, path, query, fragment } = splitUri(text);
  if (scheme?.toLowerCase() !== "oscore" || authority === undefined)
    return wrong("it does not begin with oscore://NAME");
  const problem = checkUriReference(text);
  if (problem !== undefined) return wrong(problem);
  if (fragment !== undefined) return wrong("it has a fragment, which requests cannot carry");
  if (/[@:[\]]/.test(authority)) return wrong("its authority is more than a name: it has no user and no port");
  const name = decoded(authority);
  if (name === undefined || !isEndpointName(name))
    return wrong("its name is not one of 1 to 63 bytes of UTF-8 without control characters");
  return {
    ok: true,
    value: { name, reference: `${path === "" ? "/" : path}${query === undefined ? "" : `?${query}`}` },
  };
}

function wrong(message: string): ReadOscoreUri {
  return { ok: false, message };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
