import {
  type ClientResponse,
  CODE,
  CONTENT_FORMAT,
  type CoapClient,
  formatCode,
  METHOD,
} from "@tributary/coap-transport";
import { type Link, originOf, parseLinkFormatTolerantly } from "@tributary/link-model";
import { type AdvertisedInterface, findAdvertised } from "./advertised-interface.js";
import type { CommandIo } from "./command-io.js";
import { LookupFailure, responseFailure } from "./lookup-failure.js";

/** How requests are sent. */
export interface Asker {
  readonly client: CoapClient;
  readonly io: CommandIo;
  readonly timeoutMs: number;
  /** Origin of the server that was asked last, for error messages. */
  server: string;
}

/**
 * Discovers the lookup interface in `/.well-known/core` (RFC 9176 section 4.3); it may be on any host and path. A server that does
 * not filter, or not by prefix, is asked for everything.
 */
export async function discoverLookup(asker: Asker, origin: string, kind: "ep" | "res"): Promise<string> {
  const uri = `${origin}/.well-known/core`;
  const type = `core.rd-lookup-${kind}`;
  for (const query of [["rt=core.rd-lookup*"], []]) {
    const response = await ask(asker, uri, query);
    if (response.code === CODE.CONTENT) {
      const found = findAdvertised(uri, readLinks(response, asker.io), type);
      if (found !== null) return assertFollowable(found);
    } else if (query.length === 0) throw responseFailure(uri, response);
  }
  throw new LookupFailure(`${origin} advertises no ${type}: it is not an RD or lookup proxy`);
}

function assertFollowable({ uri, astray }: AdvertisedInterface): string {
  if (astray === null) return uri;
  throw new LookupFailure(`the lookup interface that it advertises is not followed: ${astray}`);
}

/** Sends a lookup, or another GET for a document in link format. */
export function ask(asker: Asker, uri: string, query: readonly string[]): Promise<ClientResponse> {
  const { client, io, timeoutMs } = asker;
  asker.server = originOf(uri) ?? uri;
  const request = { method: METHOD.GET, uri, query, accept: CONTENT_FORMAT.LINK_FORMAT };
  return client.request(request, { timeoutMs, signal: io.interrupt });
}

/** Reads the links of a response; parts that cannot be read are reported on stderr. */
export function readLinks(response: ClientResponse, io: CommandIo): Link[] {
  const { contentFormat } = response;
  if (contentFormat !== undefined && contentFormat !== CONTENT_FORMAT.LINK_FORMAT) {
    throw new LookupFailure(
      `the response ${formatCode(response.code)} is not in link format but in format ${contentFormat}`,
    );
  }
  const { links, problems } = parseLinkFormatTolerantly(response.payload);
  for (const { message } of problems) io.err(`tributary: part of the response cannot be read: ${message}`);
  return links;
}

/** Discovers a lookup and asks it. @throws {LookupFailure} @throws {TransportError} */
export async function askLookup(asker: Asker, kind: "ep" | "res", criteria: readonly string[]): Promise<Link[]> {
  const uri = await discoverLookup(asker, asker.server, kind);
  const response = await ask(asker, uri, criteria);
  if (response.code !== CODE.CONTENT) throw responseFailure(uri, response);
  return readLinks(response, asker.io);
}
