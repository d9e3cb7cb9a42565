import { type Link, parseLinkFormat } from "@tributary/link-model";
import type { Directory, Registration } from "@tributary/merge-engine";
import type { Environment } from "@tributary/runtime";
import type { StoredRegistration } from "../stored-registration.js";
import { resolveDocument } from "./registration-document.js";
import type { Registry } from "./registry.js";

export interface ShownRegistrationsDeps {
  readonly directory: Directory;
  readonly env: Environment;
  readonly registry: Registry;
  /** Name of the source of the directory that holds them. */
  readonly source: string;
  /** Path above the registration resources, with its slash: `/reg/`. */
  readonly hrefPrefix: string;
}

/** The registrations of this RD as records of the directory. */
export class ShownRegistrations {
  readonly #deps: ShownRegistrationsDeps;

  constructor(deps: ShownRegistrationsDeps) {
    this.#deps = deps;
  }

  hrefOf(id: string): string {
    return this.#deps.hrefPrefix + id;
  }

  /** The id in the path of a registration resource; undefined when the path is not one. */
  idOf(href: string): string | undefined {
    const { hrefPrefix } = this.#deps;
    return href.startsWith(hrefPrefix) ? href.slice(hrefPrefix.length) : undefined;
  }

  has(id: string): boolean {
    return this.#deps.directory.has(this.#deps.source, this.hrefOf(id));
  }

  /** Bytes that it counts for in the directory. */
  weight(id: string): number {
    return this.#deps.directory.weight(this.#deps.source, this.hrefOf(id));
  }

  /** @throws {MergeError} when the directory has no room */
  put(registration: Registration): void {
    this.#deps.directory.put(this.#deps.source, registration, this.#deps.env.clock.nowMs());
  }

  /** Makes one younger that is shown; false when it is not. `stampMs`: see `Registration`. */
  renew({ id, ltS }: StoredRegistration, renewedAtMs: number, stampMs?: number): boolean {
    const { directory, env, source } = this.#deps;
    const times = { renewedAtMs, expiresAtMs: renewedAtMs + ltS * 1000, ...(stampMs === undefined ? {} : { stampMs }) };
    return directory.renew(source, this.hrefOf(id), times, env.clock.nowMs());
  }

  remove(id: string): void {
    this.#deps.directory.remove(this.#deps.source, this.hrefOf(id), this.#deps.env.clock.nowMs());
  }

  /**
   * How lookups show a registration. `links` are those of its text; null: of the text that is kept. `known`: its entry in the registry.
   */
  build(
    stored: StoredRegistration,
    links: readonly Link[] | null,
    renewedAtMs: number,
    known = this.#deps.registry.byId(stored.id, this.#deps.env.clock.nowMs()),
  ): Registration {
    const { directory, source } = this.#deps;
    const href = this.hrefOf(stored.id);
    const isSameDocument =
      known?.phase.kind === "live" && known.stored.base === stored.base && known.stored.links === stored.links;
    const shownLinks = isSameDocument ? directory.get(source, href)?.links : undefined;
    return {
      href,
      ep: stored.ep,
      ...(stored.d === undefined ? {} : { d: stored.d }),
      base: stored.base,
      attributes: stored.attributes,
      links: shownLinks ?? resolveDocument(stored.base, links ?? linksOf(stored)),
      ltMs: stored.ltS * 1000,
      renewedAtMs,
      expiresAtMs: renewedAtMs + stored.ltS * 1000,
      expiry: "exact",
      ...(stored.zone === undefined ? {} : { zone: stored.zone }),
    };
  }
}

function linksOf(stored: StoredRegistration): readonly Link[] {
  const parsed = parseLinkFormat(stored.links);
  return parsed.ok ? parsed.links : [];
}
