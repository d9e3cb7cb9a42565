import { isIP } from "node:net";
import { isMulticastAddress, parseCoapUri } from "@tributary/coap-transport";
import { type Criterion, isAbsoluteUri, type Link, parseCriterion, parseLinkFormat } from "@tributary/link-model";
import { parseCoapOrigin } from "./coap-origin.js";
import type { StoreConfig } from "./types.js";
import { hinted } from "./value-hints.js";

/** Placeholder in messages for the value as it is written in the file. */
export const AS_WRITTEN = "\ue000";

/** Result of parsing a value: the value, or a message `mistake; correction`. */
export type FieldResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

/** Parses a value of the configuration; `name` is its name in messages. Pure. */
export type FieldParser<T> = (value: unknown, name: string) => FieldResult<T>;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/;
/** RFC 9176 section 5: sector and endpoint names have at most 63 bytes. */
const MAX_SECTOR_BYTES = 63;
const NAME = /^[\p{L}\p{N}._:~%[\]-]{1,63}$/u;
const REPLICA_WORDS: ReadonlySet<string> = new Set(["loopback", "private", "any"]);
/** Query items that are not criteria (RFC 9176 section 6.2, draft 5.1). */
const NOT_CRITERIA: ReadonlySet<string> = new Set(["page", "count", "provenance"]);

/** A successful result. */
export function ok<T>(value: T): FieldResult<T> {
  return { ok: true, value };
}

/** A failed result. */
export function wrong(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}

/** Formats a value for a message, with at most 60 characters. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** A duration within `fromMs`..`toMs`: a number with ms, s, m, h or d, or a bare number of seconds. Returns ms. */
export function duration(fromMs: number, toMs: number): FieldParser<number> {
  return hinted(
    (value: unknown, name: string): FieldResult<number> => {
      const match = typeof value === "number" || typeof value === "string" ? DURATION.exec(String(value)) : null;
      if (match === null)
        return wrong(`${name} is ${show(value)}; write a number with ms, s, m, h or d, such as 500ms or 2s`);
      const ms = Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? "s"] ?? 1000));
      if (ms < fromMs || ms > toMs) {
        return wrong(
          `${name} is out of range: ${show(value)}; write ${formatDuration(fromMs)} to ${formatDuration(toMs)}`,
        );
      }
      return ok(ms);
    },
    { type: ["number", "string"], pattern: DURATION.source, minimum: 0 },
  );
}

/** Formats a duration as in the configuration, in the largest unit that gives a whole number. Pure. */
export function formatDuration(ms: number): string {
  const unit = ["d", "h", "m", "s"].find((name) => ms > 0 && ms % (UNIT_MS[name] ?? 1) === 0) ?? "ms";
  return `${ms / (UNIT_MS[unit] ?? 1)}${unit}`;
}

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*)(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*\.?$/;

/** A whole number within `from`..`to`. */
export function integer(from: number, to: number): FieldParser<number> {
  return hinted(
    (value, name) =>
      typeof value === "number" && Number.isInteger(value) && value >= from && value <= to
        ? ok(value)
        : wrong(`${name} is ${show(value)}; write a whole number from ${from} to ${to}`),
    { type: "integer", minimum: from, maximum: to },
  );
}

/** One of a few words. `planned` are words that are not implemented yet. */
export function word<const W extends string>(words: readonly W[], planned: readonly string[] = []): FieldParser<W> {
  const choice = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return hinted(
    (value: unknown, name: string): FieldResult<W> => {
      const found = words.find((one) => one === value);
      if (found !== undefined) return ok(found);
      if (planned.some((one) => one === value))
        return wrong(`${name}: ${String(value)} is not available yet; write ${choice}`);
      return wrong(`${name} is ${show(value)}; write ${choice}`);
    },
    { enum: words },
  );
}

/** The name of a node or an upstream, which appears in logs, metrics and paths. */
export const nodeName: FieldParser<string> = (value, name) => {
  if (typeof value === "number" || typeof value === "boolean")
    return wrong(`${name} is a ${typeof value}; write it in quotes: "${AS_WRITTEN}"`);
  if (typeof value !== "string" || !NAME.test(value)) {
    return wrong(`${name} is ${show(value)}; write 1 to 63 letters, digits or one of . _ : ~ % [ ] -`);
  }
  return ok(value);
};

/** The name of an upstream; `local` is reserved for the registrations of the node itself. */
export const upstreamName: FieldParser<string> = (value, name) =>
  value === "local"
    ? wrong(`${name} "local" is reserved for the registrations of the node itself; choose another`)
    : nodeName(value, name);

/** The name of an anycast peer, which is a segment of the paths of its registrations. */
export const peerName: FieldParser<string> = (value, name) =>
  value === undefined
    ? wrong(`${name} is missing; add the name that this peer gives itself in its own file`)
    : nodeName(value, name);

/** True or false. */
export const flag: FieldParser<boolean> = hinted(
  (value, name) => (typeof value === "boolean" ? ok(value) : wrong(`${name} is ${show(value)}; write true or false`)),
  { type: "boolean" },
);

/** The URI of a CoAP server; returns its canonical form. */
export const coapUri: FieldParser<string> = (value, name) => {
  if (value === undefined) return wrong(`${name} is missing; add ${name}: "coap://[2001:db8::1]"`);
  if (typeof value !== "string") return wrong(`${name} is ${show(value)}; write a URI such as coap://[2001:db8::1]`);
  const result = parseCoapOrigin(value);
  return result.ok ? ok(result.origin.uri) : wrong(`${name} ${result.message}`);
};

/** The URI of a server that this node sends requests to. */
export const askedUri: FieldParser<string> = (value, name) => {
  const result = coapUri(value, name);
  if (!result.ok) return result;
  const { host, hostIsLiteral, zone, port } = parseCoapUri(result.value);
  if (port === 0)
    return wrong(`${name} ${show(value)} has port 0, where nothing can be asked; write the port of the server`);
  if (!hostIsLiteral) return result;
  const address = host.replace(/^::ffff:(?=\d+\.)/, "");
  if (isMulticastAddress(address) || address === "255.255.255.255")
    return wrong(`${name} ${show(value)} is the address of a group; write the address of one server`);
  if (address === "::" || /^0\./.test(address))
    return wrong(`${name} ${show(value)} stands for any address of this machine; write the address of one server`);
  if (/^fe[89ab]/i.test(address) && zone === undefined)
    return wrong(`${name} ${show(value)} is link-local; add the interface, such as coap://[${host}%25eth0]`);
  return result;
};

/** A host name without scheme and port (RFC 1123 section 2.1). */
export const hostName: FieldParser<string> = (value, name) =>
  typeof value === "string" && HOST_NAME.test(value)
    ? ok(value)
    : wrong(`${name} has ${show(value)}; write a host name without scheme and port, such as "lp.example.com"`);

/** The origin of web pages as browsers send it (RFC 6454 section 6.2), or `*`. */
export const webOrigin: FieldParser<string> = (value, name) => {
  const example = '"https://dashboard.example.com", or "*" for all';
  if (value === "*") return ok(value);
  if (typeof value !== "string" || !URL.canParse(value) || !/^https?:/.test(value))
    return wrong(`${name} has ${show(value)}; write scheme, host and port of a web page, such as ${example}`);
  const { origin } = new URL(value);
  return origin === value ? ok(value) : wrong(`${name} has ${show(value)}; write it as browsers do: ${origin}`);
};

/** A range of ports, such as 10000-10999; one port is a range as well. */
export const portRange: FieldParser<{ readonly from: number; readonly to: number }> = (value, name) => {
  const match = typeof value === "string" || typeof value === "number" ? PORT_RANGE.exec(String(value)) : null;
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  return match !== null && from >= 1 && from <= to && to <= 65_535
    ? ok({ from, to })
    : wrong(`${name} is ${show(value)}; write a range of ports such as 10000-10999`);
};

const PORT_RANGE = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/;

/** The host of announced addresses: a name, or an IP literal without brackets and zone. */
export const proxyHost: FieldParser<string> = (value, name) =>
  typeof value === "string" && (isIP(value) !== 0 || HOST_NAME.test(value)) && !value.includes("%")
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write an address or a name, such as 2001:db8::1 or rd.example.com`);

/** Scheme and authority that a server uses in its own URIs, in lower case; it need not be reachable under them. */
export const authority: FieldParser<string> = (value, name) => {
  const example = "coap://rd.example.com";
  if (typeof value !== "string") return wrong(`${name} has ${show(value)}; write scheme and host, such as ${example}`);
  const match = /^([a-z][a-z0-9+.-]*:\/\/[^\s/?#"<>\\^`{|}@]+)(.*)$/is.exec(value);
  if (match === null)
    return wrong(`${name} has ${show(value)}, which is not a URI; write scheme and host, such as ${example}`);
  const [, origin = "", rest = ""] = match;
  if (rest !== "" && rest !== "/")
    return wrong(`${name} has ${show(value)} with a path or query; write scheme, host and port alone: ${origin}`);
  return ok(origin.toLowerCase());
};

/** `host:port`; or false, which returns null. */
export const httpAddress: FieldParser<{ readonly host: string; readonly port: number } | null> = (value, name) => {
  if (value === false) return ok(null);
  const match = typeof value === "string" ? /^(?:\[([^\]]+)\]|([^:[\]/@\s]+)):(\d{1,5})$/.exec(value) : null;
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3] ?? "NaN");
  if (match === null || (match[1] !== undefined && isIP(host) !== 6)) {
    return wrong(`${name} is ${show(value)}; write "host:port" such as "127.0.0.1:8683" or "[::1]:8683", or false`);
  }
  return port <= 65_535 ? ok({ host, port }) : wrong(`${name} has port ${port}; write a port from 0 to 65535`);
};

/** IPv4 address and port of a member of a pool. */
export const poolAddress: FieldParser<{ readonly host: string; readonly port: number }> = (value, name) => {
  const match = typeof value === "string" ? /^([0-9.]+):([0-9]{1,5})$/.exec(value) : null;
  const [, host = "", digits] = match ?? [];
  const port = Number(digits);
  if (isIP(host) !== 4 || !(port >= 1 && port <= 65_535))
    return wrong(`${name} has ${show(value)}; write an IPv4 address and a port, such as 192.0.2.1:49737`);
  if (/^(?:0|22[4-9]|23\d|24\d|25\d)\./.test(host))
    return wrong(`${name} has ${show(value)}; write the address at which the others reach one member`);
  return ok({ host, port });
};

/** A rule for who may replicate: `loopback`, `private`, `any`, or a CIDR block. */
export const replicaRule: FieldParser<string> = (value, name) => {
  if (typeof value !== "string")
    return wrong(`${name} has ${show(value)}; write loopback, private, any or a CIDR block`);
  if (REPLICA_WORDS.has(value)) return ok(value);
  const [address = "", prefix, ...rest] = value.split("/");
  const family = isIP(address);
  const longest = family === 6 ? 128 : 32;
  if (family === 0 || address.includes("%") || rest.length > 0) {
    return wrong(`${name} has ${show(value)}; write loopback, private, any or a CIDR block such as 2001:db8::/32`);
  }
  if (prefix === undefined) return wrong(`${name} has an address without prefix length; write ${address}/${longest}`);
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > longest) {
    return wrong(`${name} has ${show(value)}; write a prefix length from 0 to ${longest}`);
  }
  return ok(value);
};

/** A conjunction of criteria as in a URI: `d=x&rt=y*` (draft 6.2.1). */
export const filter: FieldParser<readonly Criterion[]> = (value, name) => {
  if (typeof value !== "string" || value === "")
    return wrong(`${name} has ${show(value)}; write criteria such as "d=x&rt=y*"`);
  const items = value.split("&");
  for (const item of items) {
    const [key = ""] = item.split("=", 1);
    if (key === "")
      return wrong(`${name}: a criterion without name in ${show(value)}; write "name=value" between the &`);
    if (NOT_CRITERIA.has(key))
      return wrong(`${name}: ${key} does not select registrations; remove it from ${show(value)}`);
  }
  return ok(items.map(parseCriterion));
};

/** Links in link format with absolute URIs, to be advertised in addition to those of the node. */
export const advertisedLinks: FieldParser<readonly Link[]> = (value, name) => {
  const example = `'<coap://[2001:db8::1]/rd>;rt="core.rd"'`;
  if (typeof value !== "string" || value === "")
    return wrong(`${name} has ${show(value)}; write a link such as ${example}`);
  const result = parseLinkFormat(value);
  if (!result.ok) {
    const { message, offset } = result.error;
    return wrong(`${name} has a link that cannot be read: ${message} (character ${offset + 1}); write ${example}`);
  }
  for (const link of result.links) {
    const anchors = link.attributes.flatMap(([key, text]) => (key === "anchor" ? [text ?? ""] : []));
    const relative = [link.target, ...anchors].find((uri) => !isAbsoluteUri(uri));
    if (relative !== undefined)
      return wrong(`${name} has the relative URI <${relative}>; write it with scheme and host`);
  }
  return ok(result.links);
};

/** The default sector of an RD for endpoints without `d`: 1 to 63 bytes without control characters (RFC 9176 section 5). */
export const sector: FieldParser<string> = (value, name) =>
  typeof value === "string" && /^\P{Cc}+$/u.test(value) && Buffer.byteLength(value) <= MAX_SECTOR_BYTES
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write the name of a sector, 1 to ${MAX_SECTOR_BYTES} bytes`);

/** The store of registrations in its short form, with the path as written. */
export const store: FieldParser<ShortStore> = (value, name) => {
  if (value === "memory") return ok({ kind: "memory" });
  const path = typeof value === "string" ? /^lmdb:(.+)$/su.exec(value)?.[1] : undefined;
  if (path !== undefined && isPath(path)) return ok({ kind: "lmdb", path });
  if (typeof value === "string" && /^(nats|tls):/.test(value)) return natsServers(value, name);
  const expected =
    "write memory, lmdb: and the path of a folder, such as lmdb:./state, or nats:// and the address of a server";
  return wrong(`${name} is ${show(value)}; ${expected}`);
};

/** A store without further settings. */
export type ShortStore =
  | Extract<StoreConfig, { readonly kind: "memory" | "lmdb" }>
  | { readonly kind: "nats"; readonly servers: readonly string[] };

function natsServers(text: string, name: string): FieldResult<ShortStore> {
  const servers: string[] = [];
  for (const part of text.split(",")) {
    const server = natsServer(part, name);
    if (!server.ok) return server;
    servers.push(server.value);
  }
  return ok({ kind: "nats", servers });
}

const NATS_SERVER = /^(?:nats|tls):\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([0-9]{1,5}))?$/i;

/** URL of the monitoring port of a server of NATS. */
export const monitoringUri: FieldParser<string> = (value, name) => {
  const isOrigin = typeof value === "string" && URL.canParse(value) && /^https?:\/\/[^/?#]+\/?$/.test(value);
  return isOrigin
    ? ok(value)
    : wrong(`${name} has ${show(value)}; write scheme, host and port, such as http://[2001:db8::1]:8222`);
};

/** URL of a server of NATS. */
export const natsServer: FieldParser<string> = (value, name) => {
  const match = typeof value === "string" ? NATS_SERVER.exec(value) : null;
  const port = Number(match?.[1] ?? 4222);
  if (match !== null && port >= 1 && port <= 65_535) return ok(value as string);
  const isWithUser = typeof value === "string" && value.includes("@");
  const remedy = isWithUser
    ? "write the user as user and password-file, or a file with credentials as credentials"
    : "write nats:// or tls:// with host and port, such as nats://[2001:db8::1]:4222";
  return wrong(`${name} has ${isWithUser ? "a URL with a user" : show(value)}; ${remedy}`);
};

/** Name of a stream of NATS. */
export const streamName: FieldParser<string> = (value, name) =>
  typeof value === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(value)
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write 1 to 64 letters, digits, - or _`);

/** Path of a file, as written. */
export const filePath: FieldParser<string> = (value, name) =>
  typeof value === "string" && isPath(value) ? ok(value) : wrong(`${name} is ${show(value)}; write the path of a file`);

/** A folder, as written; it cannot be left out. */
export const requiredFolder: FieldParser<string> = (value, name) =>
  value === undefined
    ? wrong(`${name} is missing; add the path of a folder, such as ${name}: ./oscore`)
    : journalFolder(value, name);

/** The name of a security context: that of its folder, or of two with a slash between. */
export const contextName: FieldParser<string> = (value, name) =>
  typeof value === "string" && /^[^/\p{Cc}]{1,255}(?:[/][^/\p{Cc}]{1,255})?$/u.test(value)
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write the name of a folder in oscore.contexts`);

/** The folder of a journal, as written. */
export const journalFolder: FieldParser<string> = (value, name) =>
  typeof value === "string" && isPath(value)
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write the path of a folder`);

/** A word without spaces. */
export const userName: FieldParser<string> = (value, name) =>
  typeof value === "string" && /^[^\s\p{Cc}]{1,255}$/u.test(value)
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write a name without spaces`);

/** The folder of copies on disk, as written. */
export const snapshot: FieldParser<string> = (value, name) =>
  typeof value === "string" && isPath(value)
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write the path of a folder, or remove it`);

function isPath(text: string): boolean {
  return /^[^\s\p{Cc}][^\p{Cc}]*$/u.test(text) && !/^[a-z][a-z0-9+.-]*:/i.test(text);
}

/** How many sources of lookups make a node ready. */
export const readyPolicy: FieldParser<"all" | "any" | number> = (value, name) =>
  value === "all" || value === "any" || (typeof value === "number" && Number.isInteger(value) && value >= 1)
    ? ok(value)
    : wrong(`${name} is ${show(value)}; write all, any, or how many of the upstreams are needed, 1 or more`);
