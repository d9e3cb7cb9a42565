import type { CoapOption } from "../types.js";
import { decodeBlock } from "./block-option.js";
import { formatAuthority } from "./coap-uri.js";
import { codeName } from "./code-names.js";
import { formatCode, METHOD, OPTION } from "./codes.js";
import { isRequestCode, type Message } from "./message.js";
import { decodeText, decodeUint } from "./option-values.js";

/** A message in a few short texts, for the log. */
export interface MessageSummary {
  /** E.g. `0.01 GET`. */
  readonly code: string;
  /** Token in hexadecimal. */
  readonly token: string;
  /** Options by name, e.g. `Uri-Path=rd Observe=0`; cut when it is long. */
  readonly options: string;
  /** Size of the payload, bytes. */
  readonly payload: number;
}

const MAX_OPTIONS_LENGTH = 400;
const MAX_VALUE_LENGTH = 64;
const MAX_VALUE_BYTES = 24;

const METHOD_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(METHOD).map(([name, code]) => [code, name]));
/** Signalling messages (RFC 8323 section 5). */
const SIGNAL_NAMES: ReadonlyMap<number, string> = new Map([
  [225, "CSM"],
  [226, "Ping"],
  [227, "Pong"],
  [228, "Release"],
  [229, "Abort"],
]);

/** Names of options as RFC 7252 writes them: `URI_PATH` is `Uri-Path`, except for names in capitals. */
const OPTION_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OPTION).map(([name, number]) => [number, nameOf(name)]),
);
const TEXTS: readonly number[] = [
  OPTION.URI_HOST,
  OPTION.URI_PATH,
  OPTION.URI_QUERY,
  OPTION.LOCATION_PATH,
  OPTION.LOCATION_QUERY,
  OPTION.PROXY_URI,
  OPTION.PROXY_SCHEME,
];
const UINTS: readonly number[] = [
  OPTION.OBSERVE,
  OPTION.URI_PORT,
  OPTION.CONTENT_FORMAT,
  OPTION.MAX_AGE,
  OPTION.HOP_LIMIT,
  OPTION.ACCEPT,
  OPTION.SIZE1,
  OPTION.SIZE2,
  OPTION.NO_RESPONSE,
];

/** Describes a message for the log: bounded in length, and without bytes that are no text. Pure. */
export function summariseMessage({ code, token, options, payload }: Omit<Message, "wireBytes">): MessageSummary {
  let text = "";
  for (const option of options) {
    text += `${text === "" ? "" : " "}${optionText(option)}`;
    if (text.length > MAX_OPTIONS_LENGTH) {
      text = `${text.slice(0, MAX_OPTIONS_LENGTH)}…`;
      break;
    }
  }
  return { code: codeText(code), token: hex(token), options: text, payload: payload.length };
}

/** The peer of a message as in a URI. Pure. */
export function peerText({ address, port }: { readonly address: string; readonly port: number }): string {
  return formatAuthority(address, port, 0);
}

function codeText(code: number): string {
  const name = isRequestCode(code) ? METHOD_NAMES.get(code) : (SIGNAL_NAMES.get(code) ?? codeName(code));
  if (code === 0) return "0.00 Empty";
  return `${formatCode(code)} ${name ?? "Unknown"}`;
}

function optionText({ number, value }: CoapOption): string {
  const name = OPTION_NAMES.get(number) ?? String(number);
  return value.length === 0 ? name : `${name}=${valueText(number, value)}`;
}

function valueText(number: number, value: Uint8Array): string {
  if (number === OPTION.BLOCK1 || number === OPTION.BLOCK2) {
    const { num, more, szx } = decodeBlock(value);
    return `${num}/${more ? "more" : "last"}/${szx === 7 ? "BERT" : 16 << szx}`;
  }
  if (UINTS.includes(number) && value.length <= 4) return String(decodeUint(value));
  const text = TEXTS.includes(number) ? decodeText(value) : null;
  if (text === null) return hex(value);
  const shown = text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text;
  return /[\p{C}\s"]/u.test(shown) ? JSON.stringify(shown) : shown;
}

function hex(value: Uint8Array): string {
  const shown = Buffer.from(value.subarray(0, MAX_VALUE_BYTES)).toString("hex");
  return value.length > MAX_VALUE_BYTES ? `${shown}…` : shown;
}

function nameOf(constant: string): string {
  if (constant === "ETAG") return "ETag";
  if (constant === "OSCORE") return constant;
  return constant
    .split("_")
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join("-");
}
