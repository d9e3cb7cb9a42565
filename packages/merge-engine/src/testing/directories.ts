import { parseLookupQuery } from "@tributary/link-model";
import { createDirectory } from "../directory.js";
import type { Directory, LookupInterface, LookupOptions, Registration } from "../types.js";

/** A registration with one link, renewed at `renewedAtMs`, for 25 hours unless `more` says otherwise. */
export function registration(
  href: string,
  ep: string,
  renewedAtMs = 0,
  more: Partial<Registration> = {},
): Registration {
  const ltMs = more.ltMs ?? 90_000_000;
  return {
    href,
    ep,
    base: `coap://${ep}`,
    attributes: [],
    links: [{ target: `coap://${ep}/s`, attributes: [["rt", "temp sensor"]] }],
    ltMs,
    renewedAtMs,
    expiresAtMs: renewedAtMs + ltMs,
    expiry: "exact",
    ...more,
  };
}

/** A directory with connected sources of these names, each an RD at `coap://rd-<name>`. */
export function directoryOf(...sources: readonly string[]): Directory {
  const directory = createDirectory();
  for (const name of sources) {
    directory.openSource(name, { authority: `coap://rd-${name}` });
    directory.setConnected(name, true, 0);
  }
  return directory;
}

/** Targets of the answer to a lookup with these query items. */
export function targets(
  directory: Directory,
  kind: LookupInterface,
  nowMs: number,
  items: readonly string[] = [],
  options: LookupOptions = {},
): string[] {
  const parsed = parseLookupQuery(items);
  if (!parsed.ok) throw new Error(parsed.message);
  return [...directory.lookup(kind, parsed.query, nowMs, options)].map(({ target }) => target);
}
