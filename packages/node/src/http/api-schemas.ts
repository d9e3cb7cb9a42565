import * as z from "zod";

// What the HTTP interface responds with, as data: the description of the interface is made of it, and tests hold responses against it.

const capability = z.enum(["yes", "no", "unknown"]);
const phase = z.enum(["idle", "discovering", "probing", "copying", "live", "stale", "missing", "refused", "closed"]);
const expiry = z
  .enum(["exact", "assumed"])
  .meta({ description: "assumed: applies only while the source is not reached" });
const counts = z.record(z.string(), z.int());
const seconds = z.number().nonnegative();
const time = z.iso.datetime();
const attributeValue = z.union([z.string(), z.literal(true), z.array(z.union([z.string(), z.literal(true)]))]);

const family = z.strictObject({
  filter: z.string(),
  phase,
  complete: z.boolean(),
  registrations: z.int(),
  idle: seconds.meta({ description: "time since its last lookup, s" }),
});

export const upstreamSchema = z.strictObject({
  name: z.string(),
  uri: z.string(),
  mode: z.enum(["replicate", "forward", "auto"]),
  tier: z.boolean(),
  phase,
  method: z.enum(["feed", "observe", "poll", "none"]),
  transport: z.enum(["udp", "tcp"]).optional(),
  complete: z.boolean(),
  tried: z.boolean(),
  coverage: z.array(z.string()),
  families: z.array(family).optional(),
  registrations: z.int(),
  leftOut: counts,
  lastChange: time.optional(),
  lastChangeAge: seconds.optional(),
  lastContact: time.optional(),
  lastContactAge: seconds.optional(),
  lag: seconds.optional(),
  feedBytes: z.int(),
  attempts: z.int(),
  error: z.string().optional(),
  capabilities: z.strictObject({
    endpointLookup: z.string().optional(),
    resourceLookup: z.string().optional(),
    registration: z.string().optional(),
    feed: z.enum(["yes", "no", "unknown", "refused"]),
    observe: capability,
    hrefFilter: capability,
    provenance: capability,
    lifetimeAge: capability,
    paging: capability,
    etag: capability,
    attribution: z.enum(["feed", "provenance", "base", "href", "ep", "resource"]).optional(),
    remarks: z.array(z.string()),
  }),
});

const registrationMembers = {
  source: z.string(),
  href: z.string(),
  ep: z.string(),
  d: z.string().optional(),
  base: z.string(),
  state: z.enum(["visible", "superseded", "stale"]),
  stale: z.boolean(),
  renewed: time,
  age: seconds,
  lt: seconds.optional(),
  expiresIn: seconds,
  expiry,
  links: z.int(),
  attributes: z.record(z.string(), attributeValue),
};

export const registrationSchema = z.strictObject(registrationMembers);

export const registrationsSchema = z.strictObject({
  registrations: z.array(registrationSchema),
  next: z.string().nullable().meta({ description: "`after` of the next page; null: there is none" }),
});

export const eventSchema = z.strictObject({
  id: z.int(),
  at: time,
  kind: z.string(),
  source: z.string().optional(),
  ep: z.string().optional(),
  d: z.string().optional(),
  href: z.string().optional(),
  before: z.strictObject({ source: z.string(), href: z.string() }).optional(),
  what: z.enum(["registration", "removal"]).optional(),
  takenBy: z.enum(["here", "elsewhere"]).optional(),
});

export const eventsSchema = z.strictObject({ events: z.array(eventSchema), last: z.int() });

export const staleSchema = z.strictObject({
  sources: z.array(z.strictObject({ source: z.string(), registrations: z.int(), firstEnd: seconds, lastEnd: seconds })),
  next: z.array(
    z.strictObject({ source: z.string(), ep: z.string(), d: z.string().optional(), expiresIn: seconds, expiry }),
  ),
});

export const explanationSchema = z.strictObject({
  ep: z.string(),
  d: z.string().optional(),
  registrations: z.array(z.strictObject({ ...registrationMembers, reason: z.string() })),
  upstreams: z.array(
    z.strictObject({ name: z.string(), uri: z.string(), phase, has: z.boolean(), reason: z.string() }),
  ),
  events: z.array(eventSchema),
});

const storeSchema = z.strictObject({
  up: z.boolean(),
  away: z.string().optional(),
  position: z.int(),
  lag: z.int(),
  pending: z.int().optional(),
  settled: counts.optional(),
});

export const nodeSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  listen: z.array(z.string()),
  roles: z.array(z.enum(["rd", "lp"])),
  uptime: z.int(),
  registrations: z.strictObject({ visible: z.int(), superseded: z.int(), stale: z.int(), total: z.int() }),
  digest: z.string(),
  damage: z.record(z.string(), z.unknown()).optional(),
  proxied: z.strictObject({ endpoints: z.int(), away: z.int() }).optional(),
  global: z
    .strictObject({
      key: z.string(),
      members: z.int(),
      away: z.string().optional(),
      published: z.boolean(),
      names: z.int(),
      announced: z.int(),
    })
    .optional(),
  memory: z.strictObject({
    limit: z.number().optional(),
    used: z.number(),
    sources: z.array(z.strictObject({ name: z.string(), used: z.number(), guaranteed: z.number() })),
    onDisk: z.int(),
  }),
  store: storeSchema.optional(),
  followers: z
    .strictObject({
      count: z.int(),
      list: z.array(
        z.strictObject({ peer: z.string(), transport: z.string(), name: z.string().optional(), current: z.boolean() }),
      ),
    })
    .optional(),
  peers: z.array(z.strictObject({ name: z.string(), uri: z.string(), up: z.boolean() })).optional(),
});

export const readinessSchema = z.strictObject({
  ready: z.boolean(),
  upstreams: z.array(
    z.strictObject({
      name: z.string(),
      phase,
      mode: z.enum(["replicate", "forward", "auto"]),
      tried: z.boolean(),
      complete: z.boolean(),
      ready: z.boolean(),
      leftOut: counts.optional(),
      error: z.string().optional(),
    }),
  ),
  store: storeSchema.optional(),
});

export const errorSchema = z.strictObject({ error: z.string() });
