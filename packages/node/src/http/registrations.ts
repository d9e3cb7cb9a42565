import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type AttributeValue, attributesToObject } from "@tributary/lookup-interface";
import type { Directory, RegistrationState, SourcedRegistration } from "@tributary/merge-engine";
import type { Clock } from "@tributary/runtime";
import { type HttpRequest, type Route, sendError } from "./router.js";
import { toIsoTime, toSeconds } from "./upstream-view.js";

/** A registration in `/api/registrations`. Times are ISO 8601, ages and lifetimes seconds. */
export interface RegistrationView {
  readonly source: string;
  readonly href: string;
  readonly ep: string;
  readonly d?: string;
  readonly base: string;
  readonly state: RegistrationState;
  readonly stale: boolean;
  readonly renewed: string;
  readonly age: number;
  readonly lt?: number;
  readonly expiresIn: number;
  /** `assumed`: the lifetime is an assumption, and only applies while the source is not connected. */
  readonly expiry: SourcedRegistration["expiry"];
  readonly links: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

type Key = Pick<SourcedRegistration, "ep" | "d">;

interface Selection {
  readonly ep?: string;
  readonly d?: string;
  readonly source?: string;
  readonly state?: RegistrationState;
  readonly limit: number;
  /** The last key of the previous page. */
  readonly after?: Key;
}

const PARAMETERS = ["ep", "d", "source", "state", "limit", "after"] as const;
const STATES: readonly RegistrationState[] = ["visible", "superseded", "stale"];
const MAX_LIMIT = 1_000_000;
/** Registrations examined per turn of the event loop. */
const TURN_SIZE = 1000;
/** Characters buffered before they are written. */
const CHUNK_LENGTH = 65_536;

/**
 * `GET /api/registrations?ep=&d=&source=&state=visible|superseded|stale&limit=&after=`: every record of the directory with its source
 * and state, streamed. A page contains whole (ep, d) pairs, so it may have a few more records than `limit`; `next` is the `after`
 * of the next page.
 */
export function registrationsRoute(deps: { readonly directory: Directory; readonly clock: Clock }): Route {
  return {
    path: "/api/registrations",
    async handle(request, response) {
      const selection = parseSelection(request.query);
      if (typeof selection === "string") return sendError(response, 400, selection);
      response.writeHead(200, { "Content-Type": "application/json; charset=utf-8" });
      if (request.method === "HEAD") response.end();
      else await writePage(deps, selection, request, response);
    },
  };
}

function parseSelection(query: URLSearchParams): Selection | string {
  for (const name of query.keys()) {
    if (!PARAMETERS.some((known) => known === name)) return `unknown parameter ${name}; use ${PARAMETERS.join(", ")}`;
    if (query.getAll(name).length > 1) return `${name} is given twice`;
  }
  const state = query.get("state");
  if (state !== null && !STATES.some((known) => known === state)) return `state is one of ${STATES.join(", ")}`;
  const limit = query.get("limit");
  if (limit !== null && !(/^\d{1,7}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MAX_LIMIT)) {
    return `limit is a whole number from 1 to ${MAX_LIMIT}`;
  }
  const after = query.get("after");
  const key = after === null ? undefined : decodeCursor(after);
  if (key === null) return "after is not a next of an earlier response";
  const texts = (["ep", "d", "source"] as const).map((name) => [name, query.get(name)] as const);
  return {
    ...Object.fromEntries(texts.filter(([, value]) => value !== null)),
    ...(state === null ? {} : { state: state as RegistrationState }),
    limit: limit === null ? Number.POSITIVE_INFINITY : Number(limit),
    ...(key === undefined ? {} : { after: key }),
  };
}

async function writePage(
  { directory, clock }: { readonly directory: Directory; readonly clock: Clock },
  selection: Selection,
  { signal }: HttpRequest,
  response: ServerResponse,
): Promise<void> {
  let text = '{"registrations":[';
  let seen = 0;
  let written = 0;
  let last: Key | undefined;
  let next: string | null = null;
  for (const { registration, state, stale } of directory.inspect()) {
    if (++seen % TURN_SIZE === 0) {
      await nextTurn();
      if (signal.aborted) return;
    }
    if (selection.ep !== undefined && registration.ep > selection.ep) break;
    if (!isSelected(registration, state, stale, selection)) continue;
    if (written >= selection.limit && last !== undefined && compareKeys(last, registration) !== 0) {
      next = encodeCursor(last);
      break;
    }
    text += `${written === 0 ? "" : ","}\n${JSON.stringify(viewRegistration(registration, state, stale, clock))}`;
    written++;
    last = { ep: registration.ep, ...(registration.d === undefined ? {} : { d: registration.d }) };
    if (text.length < CHUNK_LENGTH) continue;
    if (!response.write(text)) await once(response, "drain", { signal });
    text = "";
  }
  response.end(`${text}\n],"next":${JSON.stringify(next)}}\n`);
}

function isSelected(
  registration: SourcedRegistration,
  state: RegistrationState,
  stale: boolean,
  selection: Selection,
): boolean {
  const { ep, d, source, after } = selection;
  if (after !== undefined && compareKeys(registration, after) <= 0) return false;
  if (ep !== undefined && registration.ep !== ep) return false;
  // "d=" selects registrations without a sector: an empty sector does not exist.
  if (d !== undefined && (registration.d ?? "") !== d) return false;
  if (source !== undefined && registration.source !== source) return false;
  return selection.state === undefined || selection.state === state || (selection.state === "stale" && stale);
}

/** Converts a record to its JSON form. */
export function viewRegistration(
  registration: SourcedRegistration,
  state: RegistrationState,
  stale: boolean,
  clock: Clock,
): RegistrationView {
  const { source, shownHref, ep, d, base, renewedAtMs, expiresAtMs, expiry, ltMs, links, attributes } = registration;
  const nowMs = clock.nowMs();
  return {
    source,
    href: shownHref,
    ep,
    ...(d === undefined ? {} : { d }),
    base,
    state,
    stale,
    renewed: toIsoTime(renewedAtMs, clock),
    age: toSeconds(Math.max(0, nowMs - renewedAtMs)),
    ...(ltMs === undefined ? {} : { lt: toSeconds(ltMs) }),
    expiresIn: toSeconds(Math.max(0, expiresAtMs - nowMs)),
    expiry,
    links: links.length,
    attributes: attributesToObject(attributes),
  };
}

/** Compares in the order of `Directory.inspect`: by endpoint name, then by sector (absent first), in code units. */
function compareKeys(one: Key, other: Key): number {
  if (one.ep !== other.ep) return one.ep < other.ep ? -1 : 1;
  if (one.d === other.d) return 0;
  if (one.d === undefined) return -1;
  return other.d === undefined || one.d > other.d ? 1 : -1;
}

function encodeCursor({ ep, d }: Key): string {
  return Buffer.from(JSON.stringify(d === undefined ? [ep] : [ep, d])).toString("base64url");
}

function decodeCursor(text: string): Key | null {
  try {
    const [ep, d, ...rest] = JSON.parse(Buffer.from(text, "base64url").toString()) as unknown[];
    if (typeof ep !== "string" || (d !== undefined && typeof d !== "string") || rest.length > 0) return null;
    return d === undefined ? { ep } : { ep, d };
  } catch {
    return null;
  }
}
