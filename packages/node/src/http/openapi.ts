import * as z from "zod";
import {
  errorSchema,
  eventsSchema,
  explanationSchema,
  nodeSchema,
  readinessSchema,
  registrationsSchema,
  staleSchema,
  upstreamSchema,
} from "./api-schemas.js";
import { type Route, sendJson } from "./router.js";

/** Path of the description of the HTTP interface. */
export const OPENAPI_PATH = "/api/openapi.json";

interface Parameter {
  readonly name: string;
  readonly description: string;
  readonly schema?: object;
}

interface Operation {
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  /** JSON of the response 200. */
  readonly json?: z.ZodType;
  /** Media types of a response that is not JSON, or also something else. */
  readonly types?: readonly string[];
  /** Other statuses, with what they mean. */
  readonly others?: Readonly<Record<string, string>>;
}

const EP = { name: "ep", description: "name of the endpoint" };
const SECTOR = { name: "d", description: "sector; empty: endpoints without one" };
const SOURCE = { name: "source", description: "name of an upstream, or `local`" };
const LIMIT = { name: "limit", description: "most entries", schema: { type: "integer", minimum: 1 } };
const WRONG = { "400": "a parameter is wrong" };
const LINKS = ["application/link-format", "application/linkset", "application/linkset+json", "application/json"];
const LOOKUP: readonly Parameter[] = [
  EP,
  { name: "d", description: "sector" },
  { name: "rt", description: "resource type; other attributes are criteria as well (RFC 9176 section 6.2)" },
  { name: "href", description: "target, or registration resource" },
  { name: "count", description: "links of a page", schema: { type: "integer", minimum: 0 } },
  { name: "page", description: "number of the page, from 0", schema: { type: "integer", minimum: 0 } },
];
const LOOKUP_OTHERS = {
  ...WRONG,
  "304": "nothing has changed since the ETag in If-None-Match",
  "406": "none of the media types is accepted",
  "503": "too much is asked for at once; Retry-After says when to ask again",
  "504": "an RD that was asked did not respond in time",
};

/** Every path but those of the status page. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "/healthz": { summary: "Whether the process is alive.", types: ["text/plain"] },
  "/readyz": {
    summary: "Whether lookups are answered as far as `lookup.ready` asks for.",
    json: readinessSchema,
    others: { "503": "they are not; the body is of the same form" },
  },
  "/metrics": { summary: "Metrics for Prometheus.", types: ["text/plain"] },
  "/api/node": { summary: "This node.", json: nodeSchema },
  "/api/upstreams": { summary: "Its upstream RDs, with their capabilities.", json: z.array(upstreamSchema) },
  "/api/registrations": {
    summary: "Its records, and whether lookups show them.",
    parameters: [
      EP,
      SECTOR,
      SOURCE,
      { name: "state", description: "only these", schema: { enum: ["visible", "superseded", "stale"] } },
      LIMIT,
      { name: "after", description: "`next` of an earlier response" },
    ],
    json: registrationsSchema,
    others: WRONG,
  },
  "/api/stale": { summary: "How long what is stale is still shown.", json: staleSchema },
  "/api/events": {
    summary: "What happened lately; as server-sent events, what happens.",
    parameters: [EP, SECTOR, SOURCE, { name: "after", description: "id of the last event that is known" }, LIMIT],
    json: eventsSchema,
    types: ["text/event-stream"],
    others: { ...WRONG, "503": "there are too many streams of events" },
  },
  "/api/why": {
    summary: "Why an endpoint is shown or not.",
    parameters: [{ ...EP, required: true } as Parameter, SECTOR],
    json: explanationSchema,
    others: WRONG,
  },
  [OPENAPI_PATH]: { summary: "This description.", json: z.record(z.string(), z.unknown()) },
  "/rd-lookup/ep": {
    summary:
      "Endpoint lookup (RFC 9176 section 6), the same as over CoAP. `Tributary-Partial` names those who are missing.",
    parameters: LOOKUP,
    types: LINKS,
    others: LOOKUP_OTHERS,
  },
  "/rd-lookup/res": {
    summary:
      "Resource lookup (RFC 9176 section 6), the same as over CoAP. `Tributary-Partial` names those who are missing.",
    parameters: LOOKUP,
    types: LINKS,
    others: LOOKUP_OTHERS,
  },
};

/** Returns the description of the HTTP interface (OpenAPI 3.1). Pure. */
export function openApiDocument(version: string): object {
  return {
    openapi: "3.1.0",
    info: {
      title: "Tributary",
      version,
      description: "What a node tells over HTTP. Everything is read only; HEAD is served wherever GET is.",
      license: { name: "MIT", identifier: "MIT" },
    },
    paths: Object.fromEntries(
      Object.entries(OPERATIONS).map(([path, operation]) => [path, { get: describeOperation(path, operation) }]),
    ),
  };
}

function describeOperation(path: string, { summary, parameters = [], json, types = [], others = {} }: Operation) {
  const media = {
    ...(json === undefined ? {} : { "application/json": { schema: jsonSchema(json) } }),
    ...Object.fromEntries(types.map((type) => [type, { schema: type.endsWith("json") ? {} : { type: "string" } }])),
  };
  const failed = { "application/json": { schema: jsonSchema(errorSchema) } };
  return {
    operationId: path.slice(1).replaceAll(/[^a-z]+(\w)/gi, (_match, letter: string) => letter.toUpperCase()),
    summary,
    ...(parameters.length === 0
      ? {}
      : { parameters: parameters.map((one) => ({ in: "query", schema: { type: "string" }, ...one })) }),
    responses: {
      "200": { description: "done", content: media },
      ...Object.fromEntries(
        Object.entries(others).map(([status, description]) => [
          status,
          { description, ...(status === "304" ? {} : { content: path === "/readyz" ? media : failed }) },
        ]),
      ),
    },
  };
}

function jsonSchema(schema: z.ZodType): object {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema) as Record<string, unknown>;
  return rest;
}

/** `GET /api/openapi.json`. */
export function openApiRoute(version: string): Route {
  return { path: OPENAPI_PATH, handle: (_request, response) => sendJson(response, 200, openApiDocument(version)) };
}
