import { isDeepStrictEqual } from "node:util";
import type { Registration } from "@tributary/merge-engine";
import { createChangeLog, createFeedReader, type FeedKind, type FeedReader } from "@tributary/replication";
import type { Chance } from "./chance.ts";
import { cuttings, Finding, type Surface, type Target } from "./surface.ts";
import { mutateText } from "./text-mutations.ts";

/** A patch for one of the feeds, from a directory that may be malicious. */
interface HostilePatch {
  readonly kind: FeedKind;
  readonly text: string;
}

const PATCH_BYTES = 1000;
/** Entries that a hostile RD may have brought in until the replica is emptied. */
const MAX_HELD = 500;
const TOKENS = [
  '{"op":"add","path":"/registrations/~1reg~11","value":{"ep":"a","base":"coap://h","lt":60,"lt-age":0}}',
  '{"op":"replace","path":"","value":{"version":"a1-1","complete":true,"registrations":{}}}',
  '{"op":"remove","path":"/registrations/~1reg~12"}',
  '{"op":"test","path":"/version","value":"a1-2"}',
  '{"op":"replace","path":"/version","value":"a1-99999999"}',
  '{"op":"move","from":"/registrations","path":"/links"}',
  '{"op":"copy","from":"/registrations/~1reg~11","path":"/registrations/~1reg~13"}',
  '{"op":"add","path":"/__proto__/polluted","value":true}',
  '{"op":"add","path":"/registrations/__proto__","value":{"polluted":true}}',
  '{"op":"add","path":"/registrations/constructor/prototype/polluted","value":true}',
  '{"op":"replace","path":"/registrations/~1reg~11/constructor/polluted","value":true}',
  '{"op":"add","path":"/registrations/~1reg~11/__proto__/polluted","value":true}',
  '{"op":"move","from":"/registrations/~1reg~11/constructor","path":"/registrations/~1reg~12"}',
  '{"op":"add","path":"/registrations/~1reg~12/prototype/polluted","value":true}',
  '"__proto__":{"polluted":true}',
  '"/registrations/~1reg~1-"',
  '"/links/~1reg~11/0/href"',
  "1e999",
  "-1",
  "null",
  "[[[[",
  "{}",
  ",",
  '"lt-age":4294967296',
  '"\\ud800"',
];

export const patchSurface: Surface<HostilePatch> = {
  name: "feed patches",
  share: 10,
  make(chance) {
    const kind = chance.pick(["ep", "res"] as const);
    return {
      kind,
      text: chance.is(0.5) ? mutateText(chance, chance.pick(VALID[kind]), TOKENS) : composed(chance, kind),
    };
  },
  open: () => new AttackedReader(),
  show: ({ kind, text }) => `${kind} ${JSON.stringify(text)}`,
  *simpler({ kind, text }) {
    for (const cut of cuttings(text, (head, tail) => head + tail)) yield { kind, text: cut };
  },
};

/** Patches that an honest RD sends one after the other. */
const VALID = honestPatches();

function registration(index: number, content: number): Registration {
  return {
    href: `/reg/${index}`,
    ep: `node-${index}`,
    ...(index % 3 === 0 ? { d: "floor1" } : {}),
    base: "coap://[2001:db8::1]",
    attributes: [["et", `urn:ex:${content}`]],
    links: [{ target: `coap://[2001:db8::1]/s/${content}`, attributes: [["rt", `t${content}`]] }],
    ltMs: 90_000_000,
    renewedAtMs: 0,
    expiresAtMs: 90_000_000,
    expiry: "exact",
  };
}

function honestPatches(): Record<FeedKind, string[]> {
  const log = createChangeLog({ epoch: 0xa1 });
  const rd = new Map<string, Registration>();
  const patches: Record<FeedKind, string[]> = { ep: [], res: [] };
  const cursors = { ep: log.open("ep", [], null), res: log.open("res", [], null) };
  for (let step = 0; step < 40; step++) {
    const next = registration(step % 13, step);
    const kind = rd.has(next.href) ? ("replaced" as const) : ("added" as const);
    if (step % 7 === 6) rd.delete(next.href);
    else rd.set(next.href, next);
    log.record({
      href: next.href,
      kind: rd.has(next.href) ? kind : "removed",
      endpointChanged: true,
      linksChanged: true,
    });
    for (const feed of ["ep", "res"] as const) {
      const source = { get: (href: string) => rd.get(href), nowMs: step * 1000 };
      for (let patch = log.nextPatch(cursors[feed], source, PATCH_BYTES); patch !== null; ) {
        patches[feed].push(patch.text);
        cursors[feed] = log.advance(cursors[feed], patch);
        patch = log.nextPatch(cursors[feed], source, PATCH_BYTES);
      }
    }
  }
  return patches;
}

/** A patch out of operations that fit each other as it happens. */
function composed(chance: Chance, kind: FeedKind): string {
  const part = kind === "ep" ? "registrations" : "links";
  const value = () =>
    kind === "ep"
      ? {
          ep: chance.pick(["a", "", "x".repeat(70), 5]),
          base: "coap://h",
          lt: chance.number(),
          "lt-age": chance.number(),
        }
      : [{ href: chance.pick(["coap://h/a", "/a", "", 7]), rt: chance.pick(["t", ["a", "b"], true, null]) }];
  const version = () => `${chance.pick(["a1", "a2", "0"])}-${chance.below(30).toString(16)}`;
  const below = ["/lt-age", "/lt-remaining", "/constructor/polluted", "/__proto__/polluted", "/0"];
  const path = () => `/${part}/~1reg~1${chance.below(8)}${chance.is(0.3) ? chance.pick(below) : ""}`;
  const operations = Array.from({ length: chance.below(chance.is(0.98) ? 5 : 400) }, () => ({
    op: chance.pick(["add", "replace", "remove", "test", "copy", "move"]),
    path: path(),
    from: path(),
    value: value(),
  }));
  const start = chance.is(0.4)
    ? {
        op: "replace",
        path: "",
        value: { version: version(), complete: chance.is(0.5), [part]: { "/reg/1": value() } },
      }
    : { op: "test", path: "/version", value: version() };
  return JSON.stringify([start, ...operations, { op: "replace", path: "/version", value: version() }]);
}

class AttackedReader implements Target<HostilePatch> {
  readonly #reader: FeedReader = createFeedReader({ assumedLifetimeMs: 90_000_000 });
  readonly #held = new Map<string, Registration>();

  feed({ kind, text }: HostilePatch): void {
    const before = new Map(this.#held);
    const version = this.#reader.version(kind);
    const held = { get: (href: string) => this.#held.get(href), hrefs: () => this.#held.keys() };
    const outcome = this.#reader.apply(kind, text, 1_000_000, held);
    if (outcome.kind !== "applied") {
      if (!isDeepStrictEqual(before, this.#held) || !isDeepStrictEqual(this.#reader.version(kind), version))
        throw new Finding("a patch that was refused has changed something");
      return;
    }
    for (const change of outcome.changes) this.#change(change);
  }

  /** Whatever came before, a new beginning leads to what an honest RD has. */
  check(): void {
    for (const owner of [Object.prototype, Object, Map.prototype, Array.prototype, Function.prototype])
      if ("polluted" in owner) throw new Finding("an object of the language was written to");
    this.#reader.restart();
    const fresh = createFeedReader({ assumedLifetimeMs: 90_000_000 });
    const expected = new Map<string, Registration>();
    for (let index = 0; index < Math.max(VALID.ep.length, VALID.res.length); index++) {
      for (const kind of ["ep", "res"] as const) {
        const text = VALID[kind][index];
        if (text === undefined) continue;
        this.feed({ kind, text });
        const held = { get: (href: string) => expected.get(href), hrefs: () => expected.keys() };
        const outcome = fresh.apply(kind, text, 1_000_000, held);
        if (outcome.kind === "applied") applyTo(expected, outcome.changes);
      }
    }
    const hrefs = (registrations: ReadonlyMap<string, Registration>) => [...registrations.keys()].sort();
    if (!isDeepStrictEqual(hrefs(this.#held), hrefs(expected)))
      throw new Finding(`after a new beginning ${hrefs(this.#held)} are held, ${hrefs(expected)} should be`);
  }

  finish(): void {}
  close(): void {}

  #change(change: Parameters<typeof applyTo>[1][number]): void {
    applyTo(this.#held, [change]);
    if (this.#held.size > MAX_HELD) this.#held.clear();
  }
}

function applyTo(
  registrations: Map<string, Registration>,
  changes: Extract<ReturnType<FeedReader["apply"]>, { kind: "applied" }>["changes"],
): void {
  for (const change of changes) {
    if (change.kind === "put") {
      const { ep, base, links, renewedAtMs, expiresAtMs } = change.registration;
      if (typeof ep !== "string" || ep === "" || typeof base !== "string" || !Array.isArray(links))
        throw new Finding(`a record that is none was handed out: ${JSON.stringify(change.registration)}`);
      if (!Number.isFinite(renewedAtMs) || !Number.isFinite(expiresAtMs))
        throw new Finding(`times that are none were handed out: ${JSON.stringify(change.registration)}`);
      registrations.set(change.registration.href, change.registration);
    } else if (change.kind === "remove") registrations.delete(change.href);
  }
}
