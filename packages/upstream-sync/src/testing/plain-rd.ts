import {
  CODE,
  CONTENT_FORMAT,
  type CoapEndpoint,
  createCoapEndpoint,
  type DatagramSocket,
  type Observer,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";
import type { World } from "./world.js";

export const PLAIN_RD_ADDRESS = "2001:db8::f";
export const PLAIN_RD_URI = `coap://[${PLAIN_RD_ADDRESS}]`;

/** How an RD differs from what one would wish for. The defaults are those of aiocoap. */
export interface Quirks {
  readonly epPath?: readonly string[];
  readonly resPath?: readonly string[];
  /** First segments of paths at which the lookups are as well. */
  readonly alsoAt?: readonly [ep: string, res: string];
  /** `ignored`: answers without Observe. */
  readonly observe?: "whole" | "ignored";
  /** Observations die without a word once a document is larger. */
  readonly maxNotificationBytes?: number;
  /** `unknown`: an attribute like any other, which clients may store. */
  readonly provenance?: "unknown" | "on-request";
  /** Which of several criteria count. Default the last one. */
  readonly criteria?: "last" | "all";
  /** `false`: a star at the end of a criterion is a character like any other. */
  readonly hasPrefixes?: boolean;
  /** `false`: registration resources cannot be read. */
  readonly hasResources?: boolean;
  /** Registration resources answer GET as if they were not there. */
  readonly hidesResources?: boolean;
  /** Writes full URIs of its registrations under this authority. */
  readonly authority?: string;
  /** Lists endpoints by their base instead of their registration. */
  readonly listsBases?: boolean;
  /** How it writes lookup documents that others would write otherwise. */
  readonly write?: (text: string) => string;
  /** Shows lt and lt-age. */
  readonly showsAge?: boolean;
  /** Sector shown for endpoints without one. */
  readonly defaultSector?: string;
  /** Requests with this text in them are answered with RST. */
  readonly resetOn?: readonly string[];
  /** Requests with this text in them are never answered. */
  readonly silentOn?: readonly string[];
  readonly blockSize?: number;
  /** Time that each lookup takes, one after the other, ms. */
  readonly slowLookupMs?: number;
  /** Leave Content-Format out of empty answers. */
  readonly bareEmpty?: boolean;
  /** Code of a lookup that matches nothing, instead of 2.05. */
  readonly emptyCode?: number;
  readonly discovery?: string;
  /** Answer of a lookup instead of the real one. */
  readonly answer?: (kind: "ep" | "res", query: readonly string[]) => ServerResponse | undefined;
}

export interface PlainRdEntry {
  readonly href: string;
  readonly ep: string;
  readonly d?: string;
  readonly base: string;
  /** Paths with attributes, e.g. `/t>;rt="temp"`. */
  links: readonly string[];
  readonly attributes?: string;
  renewedAtMs: number;
}

const encode = (text: string) => new TextEncoder().encode(text);

/** A Resource Directory as found in the field, in virtual time. */
export class PlainRd {
  readonly entries = new Map<string, PlainRdEntry>();
  /** Lookups asked for, e.g. `res?href=/reg/1/`. */
  readonly requests: string[] = [];
  quirks: Quirks;
  readonly #world: World;
  #endpoint: CoapEndpoint | null = null;
  #nextId = 1;
  #observers: { kind: "ep" | "res"; observer: Observer; isDead: boolean }[] = [];

  constructor(world: World, quirks: Quirks = {}) {
    this.#world = world;
    this.quirks = quirks;
    this.start();
  }

  start(): void {
    const socket = this.#grumpy(this.#world.network.open(PLAIN_RD_ADDRESS, 5683));
    this.#endpoint = createCoapEndpoint(
      { socket, env: this.#world.env },
      {
        handler: (request) => this.#inItsTurn(this.#handle(request), request),
        limits: { blockSize: this.quirks.blockSize ?? 1024 },
      },
    );
  }

  /** Gone without a word. */
  async crash(): Promise<void> {
    this.#observers = [];
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    this.#world.network.partition([PLAIN_RD_ADDRESS]);
    await endpoint?.close();
    this.#world.network.heal();
  }

  get observers(): number {
    return this.#observers.filter(({ isDead }) => !isDead).length;
  }

  register(
    ep: string,
    more: { d?: string; base?: string; links?: readonly string[]; attributes?: string; href?: string } = {},
  ): string {
    const { d, base = `coap://${ep}.example`, links = ['/t>;rt="temp"'], attributes } = more;
    const href = more.href ?? `/reg/${this.#nextId++}/`;
    this.entries.delete(href);
    this.entries.set(href, {
      href,
      ep,
      ...(d === undefined ? {} : { d }),
      base,
      links,
      ...(attributes === undefined ? {} : { attributes }),
      renewedAtMs: this.#world.clock.nowMs(),
    });
    this.#notify();
    return href;
  }

  remove(href: string): void {
    this.entries.delete(href);
    this.#notify();
  }

  /** Neither does aiocoap tell observers of changed links. */
  setLinksSilently(href: string, links: readonly string[]): void {
    (this.entries.get(href) as PlainRdEntry).links = links;
  }

  /** List everything in another order, and tell so. */
  shuffle(): void {
    const all = [...this.entries].reverse();
    this.entries.clear();
    for (const [href, entry] of all) this.entries.set(href, entry);
    this.#notify();
  }

  /** Send this to every observer of an interface. */
  notify(kind: "ep" | "res", body: string): void {
    this.#override = { kind, body };
    for (const one of this.#observers) if (one.kind === kind) one.observer.wake();
  }

  /** As when a registration breaks the filter of an observed query. */
  failObservations(): void {
    for (const { observer } of [...this.#observers]) observer.end({ code: CODE.INTERNAL });
  }

  #override: { kind: "ep" | "res"; body: string } | null = null;

  #notify(): void {
    for (const one of this.#observers) {
      const size = this.document(one.kind, []).length;
      if (size > (this.quirks.maxNotificationBytes ?? Number.POSITIVE_INFINITY)) one.isDead = true;
      if (!one.isDead) one.observer.wake();
    }
  }

  #busyUntilMs = 0;

  /** Lookups that take time are worked on one after the other. */
  #inItsTurn(response: ServerResponse, { path }: ServerRequest): ServerResponse | Promise<ServerResponse> {
    const { slowLookupMs = 0 } = this.quirks;
    if (slowLookupMs === 0 || this.entries.has(`/${path.join("/")}`)) return response;
    const { clock } = this.#world;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, clock.nowMs()) + slowLookupMs;
    return new Promise((resolve) => clock.setTimer(this.#busyUntilMs - clock.nowMs(), () => resolve(response)));
  }

  #handle(request: ServerRequest): ServerResponse {
    const path = request.path.join("/");
    const { epPath = ["endpoint-lookup", ""], resPath = ["resource-lookup", ""] } = this.quirks;
    if (path === ".well-known/core") return this.#content(this.#discovery(epPath, resPath));
    const [first = ""] = request.path;
    const [oldEp, oldRes] = this.quirks.alsoAt ?? [];
    const isEp = path === epPath.join("/") || first === oldEp;
    const isRes = path === resPath.join("/") || first === oldRes;
    const kind = isEp ? "ep" : isRes ? "res" : null;
    const entry = this.entries.get(`/${path}`);
    if (kind === null && entry !== undefined && this.quirks.hasResources === false)
      return { code: CODE.METHOD_NOT_ALLOWED };
    if (kind === null && this.quirks.hidesResources === true) return { code: CODE.NOT_FOUND };
    if (kind === null && entry !== undefined) return this.#content(entry.links.map((link) => `<${link}`).join(","));
    if (kind === null) return { code: CODE.NOT_FOUND };
    this.requests.push([kind, ...(request.query.length === 0 ? [] : [request.query.join("&")])].join("?"));
    const answer = this.quirks.answer?.(kind, request.query) ?? this.#found(this.document(kind, request.query));
    if (request.observe !== 0 || this.quirks.observe === "ignored" || answer.code !== CODE.CONTENT) return answer;
    return { ...answer, observation: { attach: (observer) => this.#attach(kind, request.query, observer) } };
  }

  #attach(kind: "ep" | "res", query: readonly string[], observer: Observer) {
    const one = { kind, observer, isDead: false };
    this.#observers.push(one);
    let sent = this.document(kind, query);
    return {
      next: () => {
        const override = this.#override?.kind === kind ? this.#override.body : null;
        this.#override = null;
        const now = override ?? this.document(kind, query);
        if (now === sent) return null;
        sent = now;
        return this.#found(now);
      },
      closed: () => {
        this.#observers = this.#observers.filter((other) => other !== one);
      },
    };
  }

  #discovery(epPath: readonly string[], resPath: readonly string[]): string {
    return (
      this.quirks.discovery ??
      `</resourcedirectory/>;rt="core.rd",</${epPath.join("/")}>;rt="core.rd-lookup-ep";ct="40",</${resPath.join("/")}>;rt="core.rd-lookup-res";ct="40"`
    );
  }

  #found(text: string): ServerResponse {
    const { emptyCode, write } = this.quirks;
    const body = write?.(text) ?? text;
    return body === "" && emptyCode !== undefined ? { code: emptyCode } : this.#content(body);
  }

  #content(body: string): ServerResponse {
    if (body === "" && this.quirks.bareEmpty === true) return { code: CODE.CONTENT };
    return { code: CODE.CONTENT, contentFormat: CONTENT_FORMAT.LINK_FORMAT, payload: encode(body) };
  }

  /** A lookup. As in aiocoap, of several criteria the last one counts. */
  document(kind: "ep" | "res", query: readonly string[]): string {
    const isShown = query.includes("provenance") && this.quirks.provenance === "on-request";
    const criteria = query.filter((item) => !item.startsWith("count=") && !(isShown && item === "provenance"));
    const counted = this.quirks.criteria === "all" ? criteria : criteria.slice(-1);
    const found = [...this.entries.values()].filter((one) => counted.every((item) => this.#matches(one, item)));
    if (kind === "ep") return found.map((one) => this.#endpointText(one)).join(",");
    return found
      .flatMap((one) => one.links.map((link) => `<${one.base}${link}${isShown ? `;provenance="${one.href}"` : ""}`))
      .join(",");
  }

  #matches(one: PlainRdEntry, criterion: string): boolean {
    const [name = "", value = ""] = criterion.split(/=(.*)/s);
    const own = {
      href: `${this.quirks.authority ?? ""}${one.href}`,
      ep: one.ep,
      d: one.d ?? this.quirks.defaultSector,
    }[name];
    if (own === undefined) return false;
    const isPrefix = value.endsWith("*") && this.quirks.hasPrefixes !== false;
    return isPrefix ? own.startsWith(value.slice(0, -1)) : own === value;
  }

  #endpointText({ href, ep, d = this.quirks.defaultSector, base, attributes, renewedAtMs }: PlainRdEntry): string {
    const age = Math.floor((this.#world.clock.nowMs() - renewedAtMs) / 1000);
    const { authority = "", listsBases = false } = this.quirks;
    return [
      listsBases ? `<${base}>;ep="${ep}"` : `<${authority}${href}>;ep="${ep}";base="${base}";rt="core.rd-ep"`,
      ...(d === undefined ? [] : [`d="${d}"`]),
      ...(this.quirks.showsAge === true ? [`lt=1000;lt-age=${age}`] : []),
      ...(attributes === undefined ? [] : [attributes]),
    ].join(";");
  }

  /** RST and silence are beyond what a handler can do. */
  #grumpy(socket: DatagramSocket): DatagramSocket {
    const inner: DatagramSocket = {
      local: socket.local,
      send: (datagram, to) => socket.send(datagram, to),
      onDatagram: null,
      onError: null,
      close: () => socket.close(),
    };
    socket.onDatagram = (datagram, from, isMulticast) => {
      const text = new TextDecoder("latin1").decode(datagram);
      if (this.quirks.silentOn?.some((part) => text.includes(part))) return;
      if (this.quirks.resetOn?.some((part) => text.includes(part))) {
        socket.send(new Uint8Array([0x70, 0, datagram[2] ?? 0, datagram[3] ?? 0]), from);
        return;
      }
      inner.onDatagram?.(datagram, from, isMulticast);
    };
    return inner;
  }
}
