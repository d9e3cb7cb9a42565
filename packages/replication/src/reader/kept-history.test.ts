import type { Registration } from "@tributary/merge-engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createChangeLog } from "../publisher/change-log.js";
import type { ChangeLog, FeedKind, LogPosition } from "../types.js";

const EPOCH = 7;
const registration = (href: string, renewedAtMs: number): Registration => ({
  href,
  ep: href,
  base: "coap://h",
  attributes: [],
  links: [{ target: `coap://h${href}`, attributes: [] }],
  ltMs: 1e9,
  renewedAtMs,
  expiresAtMs: renewedAtMs + 1e9,
  expiry: "exact",
});

/** All that is sent to a subscriber at `counter`, as text. */
function sentSince(log: ChangeLog, rd: ReadonlyMap<string, Registration>, kind: FeedKind, counter: number): string {
  let cursor = log.open(kind, [], { epoch: EPOCH, counter });
  let sent = "";
  for (;;) {
    const patch = log.nextPatch(cursor, { get: (href) => rd.get(href), nowMs: 1e6 }, 1e9);
    if (patch === null) return sent;
    sent += patch.text;
    cursor = log.advance(cursor, patch);
  }
}

const step = fc.record({
  href: fc.constantFrom("/a", "/b", "/c", "/d"),
  what: fc.constantFrom("put" as const, "renew" as const, "remove" as const),
});

describe("a history that was kept", () => {
  test("goes on sending every subscriber what the one before would have sent", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40, size: "max" }),
        fc.nat(40),
        fc.nat(5),
        (steps, held, maxTombstones) => {
          const rd = new Map<string, Registration>();
          const kept = new Map<string, LogPosition>();
          let horizon = 0;
          const log = createChangeLog({
            epoch: EPOCH,
            maxTombstones,
            onForgotten: (href, newHorizon) => {
              kept.delete(href);
              horizon = newHorizon;
            },
          });
          for (const [at, { href, what }] of steps.entries()) {
            const isKnown = rd.has(href);
            if (what === "remove" ? !rd.delete(href) : what === "renew" && !isKnown) continue;
            if (what !== "remove") rd.set(href, registration(href, at));
            const kind = what === "remove" ? "removed" : !isKnown ? "added" : what === "renew" ? "renewed" : "replaced";
            log.record({ href, kind, endpointChanged: kind !== "renewed", linksChanged: kind !== "renewed" });
            const position = log.position(href);
            if (position !== undefined) kept.set(href, position);
          }
          const { counter } = log.head;
          const again = createChangeLog({
            epoch: EPOCH,
            counter,
            maxTombstones,
            kept: { horizon, positions: kept.values() },
          });
          expect([...again.present()].sort()).toEqual([...log.present()].sort());
          for (const kind of ["ep", "res"] as const) {
            if (held > 0 && held <= counter)
              expect(sentSince(again, rd, kind, held)).toBe(sentSince(log, rd, kind, held));
          }
        },
      ),
    );
  });

  test("its counter may have jumped ahead: nothing is sent twice, and what comes after is sent", () => {
    const rd = new Map([["/a", registration("/a", 0)]]);
    const position = { href: "/a", created: 3, ep: 5, res: 5, renewed: 8, isRemoved: false, cameBack: false };
    const log = createChangeLog({ epoch: EPOCH, counter: 1000, kept: { horizon: 0, positions: [position] } });
    expect(sentSince(log, rd, "ep", 8)).toBe("");
    expect(sentSince(log, rd, "ep", 6)).toContain("lt-age");
    rd.set("/b", registration("/b", 0));
    log.record({ href: "/b", kind: "added", endpointChanged: true, linksChanged: true });
    expect(log.head.counter).toBe(1001);
    expect(sentSince(log, rd, "ep", 900)).toContain("/b");
  });
});
