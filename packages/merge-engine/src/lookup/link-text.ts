import { LinkModelError, type LookupQuery } from "@tributary/link-model";
import type { StoredRecord } from "../records/stored-record.js";
import type { LookupInterface } from "../types.js";
import { criteriaForLinks, linkMeetsAll, nextLink, recordMatches } from "./packed-matching.js";
import { endpointText, resourceText } from "./record-text.js";

/** The body of a lookup in link format, written record by record; `page` and `count` of the query are applied. */
export class LinkText {
  text = "";
  readonly #kind: LookupInterface;
  readonly #query: LookupQuery;
  readonly #start: number;
  readonly #end: number;
  #position = 0;

  constructor(kind: LookupInterface, query: LookupQuery) {
    const { page = 0, count } = query;
    this.#kind = kind;
    this.#query = query;
    this.#start = count === undefined ? 0 : page * count;
    this.#end = count === undefined ? Number.POSITIVE_INFINITY : this.#start + count;
  }

  /** The page has all of its links. */
  get isFull(): boolean {
    return this.#position >= this.#end;
  }

  /** Adds what matches of a record. False: some of it cannot be written in link format. */
  add(record: StoredRecord): boolean {
    if (this.isFull) return true;
    try {
      if (this.#kind === "ep") this.#addEndpoint(record);
      else this.#addLinks(record);
      return true;
    } catch (error) {
      if (error instanceof LinkModelError) return false;
      throw error;
    }
  }

  #addEndpoint(record: StoredRecord): void {
    if (recordMatches(this.#query.criteria, record) && this.#isOnPage()) this.#append(endpointText(record));
  }

  #addLinks(record: StoredRecord): void {
    const { criteria, showProvenance } = this.#query;
    const { links } = record;
    const rest = criteriaForLinks(criteria, record);
    for (let at = 0; at < links.length && !this.isFull; at = nextLink(links, at))
      if (linkMeetsAll(rest, links, at) && this.#isOnPage()) this.#append(resourceText(record, at, showProvenance));
  }

  /** Counts a result. */
  #isOnPage(): boolean {
    return this.#position++ >= this.#start;
  }

  #append(link: string): void {
    this.text = this.text === "" ? link : `${this.text},${link}`;
  }
}
