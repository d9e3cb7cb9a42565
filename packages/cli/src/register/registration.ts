import { parseLinkFormatTolerantly, splitUri } from "@tributary/link-model";
import { findAdvertised } from "../advertised-interface.js";
import { diagnosticText } from "../diagnostic-text.js";
import type { EndpointClient } from "./endpoint-client.js";
import type { EndpointResponse } from "./endpoint-exchange.js";
import type { EndpointProver } from "./endpoint-prover.js";
import { EndpointError } from "./errors.js";
import type { Failure } from "./keep-alive.js";
import { SCHEMES } from "./registration-schemes.js";

/** The registration of an endpoint. */
export interface EndpointRegistration {
  readonly ep: string;
  readonly d?: string;
  /** Lifetime, seconds; absent: the default of the RD, 90000 (RFC 9176 section 5). */
  readonly ltS?: number;
  readonly base?: string;
  /** The RD is asked to be its reverse proxy (draft 6.3). Default false. */
  readonly isProxied?: boolean;
  /** Link format. */
  readonly links: string;
  /** Proves that the endpoint has the key of its name. */
  readonly prover?: EndpointProver;
}

/** Outcome of a request: its result, or why it failed. */
export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure };

interface Control {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Replacement for invalid UTF-8. */
const NOT_UTF8 = "\ufffd";
const UNRESERVED = /[A-Za-z0-9\-._~!$&'()*+,;=:@]/;

/**
 * Discovers the registration interface of an RD (RFC 9176 section 4.3). `origin` is a `coap://host[:port]`. A server that does
 * not filter, or not by prefix, is asked for everything. `prover` takes note of what it advertises.
 */
export async function discoverRegistration(
  client: EndpointClient,
  origin: string,
  control: Control,
  prover?: EndpointProver,
): Promise<Attempt<string>> {
  const uri = `${origin}/.well-known/core`;
  const ask = (query: readonly string[]) =>
    attempt(client.request({ method: "GET", uri, query }, control), (response) =>
      findRegistration(uri, response, prover),
    );
  const filtered = await ask(["rt=core.rd*"]);
  return filtered.ok || filtered.failure.kind === "unavailable" ? filtered : await ask([]);
}

function findRegistration(
  uri: string,
  response: EndpointResponse,
  prover?: EndpointProver,
): { readonly value: string } | Failure {
  if (response.code !== "2.05") return refusal(response);
  const { links } = parseLinkFormatTolerantly(response.payload);
  const found = findAdvertised(uri, links, "core.rd");
  if (found === null) return { kind: "refused", message: "it advertises no core.rd" };
  const { scheme } = splitUri(found.uri);
  if (!SCHEMES.has(scheme ?? ""))
    return { kind: "refused", message: `its registration interface is at ${scheme}, which is not available yet` };
  if (found.astray !== null)
    return { kind: "refused", message: `its registration interface is not used: ${found.astray}` };
  prover?.note(found.uri, links);
  return { value: found.uri };
}

/** Registers (RFC 9176 section 5). Returns the absolute URI of the registration resource. */
export async function sendRegistration(
  client: EndpointClient,
  interfaceUri: string,
  { ep, d, ltS, base, isProxied = false, links, prover }: EndpointRegistration,
  control: Control,
): Promise<Attempt<string>> {
  const query = [
    `ep=${ep}`,
    ...(d === undefined ? [] : [`d=${d}`]),
    ...(ltS === undefined ? [] : [`lt=${ltS}`]),
    ...(base === undefined ? [] : [`base=${base}`]),
    ...(isProxied ? ["proxy"] : []),
    ...(prover?.registration(interfaceUri) ?? []),
  ];
  const request = client.request({ method: "POST", uri: interfaceUri, query, payload: links }, control);
  return await attempt(request, (response) => {
    if (response.code !== "2.01") return refusal(response);
    return locationUri(interfaceUri, response);
  });
}

/**
 * Renews a registration without changes but a new proof (RFC 9176 section 5.3.1); one that is proxied moves to the connection that is used.
 */
export async function sendRenewal(
  client: EndpointClient,
  location: string,
  { isProxied = false, prover }: Pick<EndpointRegistration, "isProxied" | "prover">,
  control: Control,
): Promise<Attempt<null>> {
  const query = [...(isProxied ? ["proxy"] : []), ...(prover?.renewal(location) ?? [])];
  const request = client.request({ method: "POST", uri: location, query }, control);
  return await attempt(request, (response) => (response.code === "2.04" ? { value: null } : refusal(response)));
}

/** Removes a registration (RFC 9176 section 5.3.2). */
export async function sendRemoval(client: EndpointClient, location: string, control: Control): Promise<Attempt<null>> {
  const request = client.request({ method: "DELETE", uri: location }, control);
  return await attempt(request, (response) => (response.code === "2.02" ? { value: null } : refusal(response)));
}

async function attempt<T>(
  request: Promise<EndpointResponse>,
  read: (response: EndpointResponse) => { readonly value: T } | Failure,
): Promise<Attempt<T>> {
  let response: EndpointResponse;
  try {
    response = await request;
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error;
    return { ok: false, failure: { kind: "unavailable", message: error.message } };
  }
  const outcome = read(response);
  return "value" in outcome ? { ok: true, value: outcome.value } : { ok: false, failure: outcome };
}

/** Converts an unexpected response to a failure. */
function refusal({ code, payload }: EndpointResponse): Failure {
  const text = diagnosticText(payload);
  const message = `it answers ${code}${text === "" ? "" : `: ${text}`}`;
  if (code === "4.04") return { kind: "gone", message };
  return { kind: code.startsWith("4.") ? "refused" : "unavailable", message };
}

/**
 * Composes the URI of Location options (RFC 7252 section 6.5). They are not resolved as a reference: the authority stays that of the
 * request, and an empty segment remains a segment.
 */
function locationUri(
  interfaceUri: string,
  { locationPath, locationQuery }: EndpointResponse,
): { readonly value: string } | Failure {
  const isSegment = (text: string): boolean => text !== "." && text !== ".." && !text.includes(NOT_UTF8);
  if (locationPath.length + locationQuery.length === 0) return { kind: "refused", message: "it gives no Location" };
  // RFC 7252 section 5.10.7: `.` and `..` are not allowed.
  if (!locationPath.every(isSegment) || locationQuery.some((item) => item.includes(NOT_UTF8)))
    return { kind: "refused", message: "it gives a Location that is not allowed" };
  const { scheme, authority, path } = splitUri(interfaceUri);
  const ownPath = locationPath.length === 0 ? path : locationPath.map((segment) => `/${encode(segment)}`).join("");
  const query = locationQuery.map((item) => encode(item).replaceAll("&", "%26")).join("&");
  return { value: `${scheme}://${authority}${ownPath}${query === "" ? "" : `?${query}`}` };
}

function encode(text: string): string {
  return [...text]
    .map((character) => (UNRESERVED.test(character) ? character : encodeURIComponent(character)))
    .join("");
}
