import { type ClientResponse, CODE, CONTENT_FORMAT } from "@tributary/coap-transport";
import { type Link, readTolerantly } from "@tributary/link-model";
import type { LookupInterface } from "@tributary/merge-engine";
import { inTurns } from "@tributary/runtime";
import { HEARTBEAT_TIMEOUT_MS } from "../constants.js";
import {
  assertContent,
  type Discovered,
  deniesLookup,
  get,
  isMereRefusal,
  lookupGone,
} from "../discovery/discovery.js";
import { checkDocumentWeight, documentLimit } from "../document-size.js";
import { UpstreamError } from "../errors.js";
import type { FollowerDeps } from "../follower.js";
import { documentLosses, LossCount, NO_LOSSES } from "../left-out.js";
import { looksEmptied } from "./emptied-check.js";
import { mapped, replicatedLink } from "./lookup-documents.js";

export interface LookupDocument {
  readonly links: readonly Link[];
  /** False when it ends in the middle of a link: what it does not show may exist all the same. */
  readonly isWhole: boolean;
}

/** Reads whole lookup documents, block by block. */
export class LookupReader {
  readonly #deps: FollowerDeps;
  readonly #found: Discovered;
  readonly #signal: AbortSignal;
  #showedResources = false;

  constructor(deps: FollowerDeps, found: Discovered, signal: AbortSignal) {
    this.#deps = deps;
    this.#found = found;
    this.#signal = signal;
  }

  /** Its lookups may show registrations of others, and it says so in other ways. */
  get isTributary(): boolean {
    return this.#found.isTributary;
  }

  uri(kind: LookupInterface): string {
    return kind === "ep" ? this.#found.endpointLookup : this.#found.resourceLookup;
  }

  /**
   * All registrations. 4.04 is nothing at all only at an RD that is known to answer so where nothing matches, or that was looked at for
   * long without a sign of its registrations.
   * @throws {UpstreamError} `UPSTREAM_LOOKUP_GONE` when the lookup is not there.
   */
  readEndpoints(): Promise<LookupDocument> {
    return this.#read("ep");
  }

  async #read(kind: LookupInterface): Promise<LookupDocument> {
    const { client, directory } = this.#deps;
    const maxBytes = documentLimit(directory.limits.memory);
    const response = await get(client, this.uri(kind), [], HEARTBEAT_TIMEOUT_MS, this.#signal, maxBytes).catch(
      (error: UpstreamError) => this.#notTaken(kind, error),
    );
    this.#deps.events.contact();
    this.#deps.events.bytes(response.wireBytes);
    if (response.code === CODE.NOT_FOUND && (await this.#isNothing(kind))) return { links: [], isWhole: true };
    if (response.code !== CODE.NOT_FOUND) this.#deps.notFound.emptiness.noteOther();
    if (deniesLookup(response.code)) throw lookupGone(kind, response.code);
    assertContent(response);
    this.#deps.report({ etag: response.etag === undefined ? "no" : "yes" });
    return this.#parse(kind, response);
  }

  /** Whether 4.04 of a whole lookup says that there is nothing at all. @throws {UpstreamError} */
  async #isNothing(kind: LookupInterface): Promise<boolean> {
    const { notFound } = this.#deps;
    if (notFound.isNothing || notFound.emptiness.isConclusive) return true;
    return kind === "ep" && (await looksEmptied(this.#deps, this.#found, this.#signal));
  }

  /**
   * Every link of the RD as it is replicated; null when it does not show them all, which does not mean that it is down.
   * @throws {UpstreamError} `UPSTREAM_LOOKUP_GONE` when a lookup that did show them is not there any more.
   */
  async readResources(): Promise<readonly Link[] | null> {
    try {
      const { links, isWhole } = await this.#read("res");
      this.#showedResources = true;
      return isWhole ? await this.replicated(links) : null;
    } catch (error) {
      const { code, message } = error as UpstreamError;
      // Discovery has just named it: one that was never there will not be there after another discovery.
      const isTolerable =
        isMereRefusal(error) ||
        code === "UPSTREAM_TOO_LARGE" ||
        (code === "UPSTREAM_LOOKUP_GONE" && !this.#showedResources);
      if (!isTolerable) throw error;
      // Each registration is asked for its links instead: nothing is lost.
      this.#deps.remarks.add(`its whole resource lookup cannot be read: ${message}`);
      return null;
    }
  }

  /** Links of the resource lookup as they are replicated. @throws {UpstreamError} */
  replicated(links: readonly Link[]): Promise<readonly Link[]> {
    return this.#run(mapped(links, (link) => replicatedLink(link, this.uri("res"))));
  }

  /** @throws {UpstreamError} `UPSTREAM_CLOSED` when it is given up meanwhile. */
  async #run<T>(work: Generator<void, T>): Promise<T> {
    const result = await inTurns(this.#deps.turns, work, this.#signal);
    if (result === undefined) throw new UpstreamError("UPSTREAM_CLOSED", "it is not followed any more");
    return result;
  }

  /** Links that a filtered lookup has; -1 when it is refused. */
  async count(kind: LookupInterface, query: string): Promise<number> {
    const response = await get(this.#deps.client, this.uri(kind), [query], HEARTBEAT_TIMEOUT_MS, this.#signal);
    return response.code === CODE.CONTENT ? (await this.#run(readTolerantly(response.payload))).links.length : -1;
  }

  /** A notification; null when it cannot be relied on: an error, another format, or cut off somewhere. */
  async readNotification(kind: LookupInterface, response: ClientResponse): Promise<readonly Link[] | null> {
    if (!isLinkFormat(response)) return null;
    await this.#checkWeight(response).catch((error: UpstreamError) => this.#notTaken(kind, error));
    const { links, problems } = await this.#run(readTolerantly(response.payload));
    if (problems.length === 0) {
      this.#deps.leftOut.replace(`document ${kind}`, NO_LOSSES);
      return links;
    }
    this.#deps.remarks.add(`a notification of ${kind} could not be read whole`);
    return null;
  }

  /** Tolerant reading; a document of another format is no document at all. @throws {UpstreamError} */
  async #parse(kind: LookupInterface, response: ClientResponse): Promise<LookupDocument> {
    if (!isLinkFormat(response)) {
      const message = `${kind} lookup answers in format ${response.contentFormat}`;
      this.#refused(message);
      throw new UpstreamError("UPSTREAM_UNREADABLE", message);
    }
    await this.#checkWeight(response).catch((error: UpstreamError) => this.#notTaken(kind, error));
    const parsed = await this.#run(readTolerantly(response.payload));
    const { links, problems, isTruncated } = parsed;
    const [first] = problems;
    if (first !== undefined) this.#deps.remarks.add(`${kind} lookup is not valid link format (${first.reason})`);
    if (links.length === 0 && response.payload.length > 0) {
      const message = `${kind} lookup cannot be read: ${first?.message ?? "no links"}`;
      this.#refused(message);
      throw new UpstreamError("UPSTREAM_UNREADABLE", message);
    }
    this.#deps.leftOut.replace(`document ${kind}`, documentLosses(parsed, `the ${kind} lookup`));
    return { links, isWhole: !isTruncated };
  }

  /** @throws {UpstreamError} `UPSTREAM_TOO_LARGE` */
  #checkWeight({ payload }: ClientResponse): Promise<true> {
    const { directory, options } = this.#deps;
    const { name, account = name } = options;
    return this.#run(checkDocumentWeight(payload, directory.limits.memory, account));
  }

  /**
   * A document that is too large is left out as a whole: the copy stays as it was. All links of an RD are not needed as one
   * document, because those of each registration can be asked for. @throws {UpstreamError}
   */
  #notTaken(kind: LookupInterface, error: UpstreamError): never {
    if (error.code === "UPSTREAM_TOO_LARGE" && kind === "ep") {
      const losses = new LossCount();
      losses.add("beyond-limits", `the ep lookup is left out: ${error.message}`);
      this.#deps.leftOut.replace("document ep", losses.losses);
    }
    throw error;
  }

  /** A document that says nothing: the copy stays as it was, and the upstream is not live. */
  #refused(message: string): void {
    this.#deps.remarks.add(message);
    this.#deps.leftOut.refused("malformed");
  }
}

/** An empty answer may come without Content-Format. */
function isLinkFormat({ contentFormat }: ClientResponse): boolean {
  return contentFormat === undefined || contentFormat === CONTENT_FORMAT.LINK_FORMAT;
}
