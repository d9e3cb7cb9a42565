import type { StoredRegistration } from "@tributary/resource-directory";

/** Registrations of three links each, as a building has them: four endpoints a room, each with a base of its own. */
export function registrationOf(index: number, renewedAtWallMs: number): StoredRegistration {
  return {
    id: index.toString(36),
    ep: `node-${index}`,
    d: `room-${Math.floor(index / ENDPOINTS_PER_ROOM)}.example.com`,
    base: baseOf(index),
    isBaseExplicit: true,
    ltS: 90_000,
    attributes: [["et", "urn:example:sensor"]],
    links: linksOf(index),
    renewedAtWallMs,
    isSimple: false,
  };
}

const ENDPOINTS_PER_ROOM = 4;
const ENDPOINTS_PER_MODEL = 4;

function baseOf(index: number): string {
  return `coap://[2001:db8::${Math.floor(index / 65_536).toString(16)}:${(index % 65_536).toString(16)}]`;
}

/** Link-format payload of a registration. */
export function linksOf(index: number): string {
  return `</sensors/temp>;rt="temperature-c";if="core.s",</sensors/model>;rt="model-${Math.floor(index / ENDPOINTS_PER_MODEL)}",</actuators/valve>;rt="valve";if="core.a"`;
}

/** A kind of lookup, with the query that asks for what is near registration `index`. */
export interface LookupWorkload {
  readonly name: string;
  readonly path: readonly string[];
  readonly queryOf: (index: number) => readonly string[];
}

/** Answers of these have one to four links, whatever the size of the directory. */
export const SELECTIVE: readonly LookupWorkload[] = [
  { name: "ep", path: ["rd-lookup", "ep"], queryOf: (index) => [`ep=node-${index}`] },
  {
    name: "d",
    path: ["rd-lookup", "ep"],
    queryOf: (index) => [`d=room-${Math.floor(index / ENDPOINTS_PER_ROOM)}.example.com`],
  },
  {
    name: "rt",
    path: ["rd-lookup", "res"],
    queryOf: (index) => [`rt=model-${Math.floor(index / ENDPOINTS_PER_MODEL)}`],
  },
  { name: "href", path: ["rd-lookup", "res"], queryOf: (index) => [`href=${baseOf(index)}/sensors/temp`] },
];

/** Prefixes, intersections, pages. */
export const BROADER: readonly LookupWorkload[] = [
  { name: "ep=prefix*", path: ["rd-lookup", "ep"], queryOf: (index) => [`ep=node-${index}*`, "count=4"] },
  {
    name: "d and rt",
    path: ["rd-lookup", "res"],
    queryOf: (index) => [`d=room-${Math.floor(index / ENDPOINTS_PER_ROOM)}.example.com`, "rt=temperature-c"],
  },
  {
    name: "rt of all, count=4",
    path: ["rd-lookup", "res"],
    queryOf: (index) => ["rt=temperature-c", `page=${index % 100}`, "count=4"],
  },
];

const CON_WITH_TOKEN = 0x40 | 4;
const URI_PATH = 11;
const CONTENT_FORMAT = 12;
const URI_QUERY = 15;
const LINK_FORMAT = 40;
const GET = 1;
const POST = 2;

/** A lookup as a confirmable message with a token of four bytes; message id and token are the sender's to fill in. */
export function lookupDatagram(path: readonly string[], query: readonly string[]): Buffer {
  return requestDatagram(GET, path, query);
}

/** A registration of the same links as `registrationOf`, made as a small endpoint makes it. */
export function registrationDatagram(index: number): Buffer {
  const { ep, d = "", base } = registrationOf(index, 0);
  return requestDatagram(POST, ["rd"], [`ep=${ep}`, `d=${d}`, `base=${base}`], linksOf(index));
}

/** A renewal (RFC 9176 section 5.3.1). */
export function renewalDatagram(location: readonly string[]): Buffer {
  return requestDatagram(POST, location, []);
}

function requestDatagram(code: number, path: readonly string[], query: readonly string[], payload = ""): Buffer {
  const parts: Buffer[] = [Buffer.from([CON_WITH_TOKEN, code, 0, 0, 0, 0, 0, 0])];
  let previous = 0;
  const add = (number: number, value: Buffer): void => {
    const delta = number - previous;
    previous = number;
    if (value.length < 13) parts.push(Buffer.from([(delta << 4) | value.length]));
    else parts.push(Buffer.from([(delta << 4) | 13, value.length - 13]));
    parts.push(value);
  };
  for (const segment of path) add(URI_PATH, Buffer.from(segment));
  if (payload !== "") add(CONTENT_FORMAT, Buffer.from([LINK_FORMAT]));
  for (const item of query) add(URI_QUERY, Buffer.from(item));
  if (payload !== "") parts.push(Buffer.from([0xff]), Buffer.from(payload));
  return Buffer.concat(parts);
}
