import type { ServerResponse } from "node:http";
import type { EventLog, NodeEvent } from "../observability/event-log.js";
import { type HttpRequest, type Route, sendError, sendJson } from "./router.js";

/** An event in `/api/events`: as in the log, with its time in ISO 8601. */
export interface EventView extends Omit<NodeEvent, "atMs"> {
  readonly at: string;
}

const STREAM_TYPE = "text/event-stream";
/** Streams at once; each takes a connection for as long as its client likes. */
const MAX_STREAMS = 32;
/** Bytes that wait for a client before its stream is ended: it continues from the last event that it has. */
const MAX_WAITING_BYTES = 1_048_576;
/** Shorter than the time after which a silent connection is closed, ms. */
const HEARTBEAT_MS = 15_000;
const MAX_LIMIT = 10_000;
const DEFAULT_LIMIT = 1000;

interface Selection {
  readonly ep?: string;
  readonly d?: string;
  readonly source?: string;
  /** Identity of the last event that the client has. */
  readonly after: number;
  readonly limit: number;
}

/** `/api/events`: the latest events as JSON, or as they happen for clients that accept server-sent events (HTML Standard section 9.2). */
export function eventsRoute({ events }: { readonly events: EventLog }): Route {
  let streams = 0;
  const textOf = rememberingLast(serverSentText);
  return {
    path: "/api/events",
    handle(request, response) {
      const selection = readSelection(request);
      if (typeof selection === "string") sendError(response, 400, selection);
      else if (request.headers.accept?.includes(STREAM_TYPE) !== true) sendLatest(events, selection, response);
      else if (streams >= MAX_STREAMS) sendError(response, 503, `there are ${MAX_STREAMS} streams of events already`);
      else {
        streams++;
        response.once("close", () => streams--);
        stream(events, { selection, textOf }, response);
      }
    },
  };
}

/** Converts an event to its JSON form. */
export function viewEvent({ atMs, ...event }: NodeEvent): EventView {
  return { ...event, at: new Date(atMs).toISOString() };
}

function readSelection({ query, headers }: HttpRequest): Selection | string {
  for (const name of query.keys()) {
    if (!["ep", "d", "source", "after", "limit"].includes(name)) return `there is no parameter ${name}`;
    if (query.getAll(name).length > 1) return `${name} is given twice`;
  }
  const after = headers["last-event-id"]?.toString() ?? query.get("after") ?? "0";
  if (!/^\d{1,15}$/.test(after)) return "after is the id of an event";
  const limit = query.get("limit") ?? String(DEFAULT_LIMIT);
  if (!/^\d{1,5}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT)
    return `limit is a whole number from 1 to ${MAX_LIMIT}`;
  const texts = (["ep", "d", "source"] as const).map((name) => [name, query.get(name)] as const);
  const given = Object.fromEntries(texts.filter(([, value]) => value !== null));
  return { ...given, after: Number(after), limit: Number(limit) };
}

/** Whether an event concerns an endpoint or source. `d=`: endpoints without a sector. Pure. */
export function isSelected(event: NodeEvent, { ep, d, source }: Pick<Selection, "ep" | "d" | "source">): boolean {
  if (ep !== undefined && event.ep !== ep) return false;
  if (d !== undefined && (event.ep === undefined || (event.d ?? "") !== d)) return false;
  return source === undefined || event.source === source || event.before?.source === source;
}

/** The latest ones, at most `limit`, in the order in which they happened. */
function sendLatest(events: EventLog, selection: Selection, response: ServerResponse): void {
  const found: NodeEvent[] = [];
  for (const event of events.since(selection.after)) if (isSelected(event, selection)) found.push(event);
  sendJson(response, 200, { events: found.slice(-selection.limit).map(viewEvent), last: events.lastId });
}

/** An event in the format of server-sent events. */
function serverSentText(event: NodeEvent): string {
  return `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(viewEvent(event))}\n\n`;
}

/** Each event goes to all streams at once, so it is written as text once. */
function rememberingLast(textOf: (event: NodeEvent) => string): (event: NodeEvent) => string {
  let last: { readonly event: NodeEvent; readonly text: string } | null = null;
  return (event) => {
    if (last?.event !== event) last = { event, text: textOf(event) };
    return last.text;
  };
}

interface StreamOptions {
  readonly selection: Selection;
  readonly textOf: (event: NodeEvent) => string;
}

function stream(events: EventLog, { selection, textOf }: StreamOptions, response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": STREAM_TYPE });
  const write = (event: NodeEvent): void => {
    if (!isSelected(event, selection)) return;
    response.write(textOf(event));
    if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
  };
  // A client without a last event wants to know what happens from now on.
  response.write(": events of this node\n\n");
  if (selection.after > 0) for (const event of events.since(selection.after)) write(event);
  const stop = events.onEvent(write);
  const heartbeat = setInterval(() => response.write(": \n\n"), HEARTBEAT_MS);
  response.once("close", () => {
    clearInterval(heartbeat);
    stop();
  });
}
