import type { Registration } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import type { LoggedChange } from "../types.js";
import { createChangeLog } from "./change-log.js";

const EPOCH = 5;
const registration = (href: string): Registration => ({
  ...{ href, ep: href, base: "coap://h", attributes: [], links: [] },
  ...{ ltMs: 60_000, renewedAtMs: 0, expiresAtMs: 60_000, expiry: "exact" },
});
const change = (href: string, kind: LoggedChange["kind"] = "added"): LoggedChange => ({
  ...{ href, kind, endpointChanged: true, linksChanged: true },
});

/** A publisher of a history that others publish as well. */
function publisher() {
  const log = createChangeLog({ epoch: EPOCH });
  const present = new Map<string, Registration>();
  const record = (href: string, position: number, kind: LoggedChange["kind"] = "added") => {
    if (kind === "removed") present.delete(href);
    else present.set(href, registration(href));
    log.record(change(href, kind), position);
  };
  const next = (counter: number | null) => {
    const cursor = log.open("ep", [], counter === null ? null : { epoch: EPOCH, counter });
    return log.nextPatch(cursor, { get: (href) => present.get(href), nowMs: 0 }, 10_000);
  };
  return { log, record, next };
}

describe("a history whose positions come from outside", () => {
  test("has the given counters, with gaps", () => {
    const { log, record, next } = publisher();
    record("/a", 10);
    record("/b", 500);
    expect(log.head).toEqual({ epoch: EPOCH, counter: 500 });
    expect(log.position("/a")?.ep).toBe(10);
    expect(next(10)?.version.counter).toBe(500);
    expect(next(10)?.text).toContain("~1b");
    expect(next(10)?.text).not.toContain("~1a");
    expect(next(500)).toBeNull();
  });

  test("goes on from a version that another publisher handed out", () => {
    const [one, other] = [publisher(), publisher()];
    for (const { record } of [one, other]) record("/a", 10);
    one.record("/b", 20);
    const version = one.next(10)?.version.counter ?? 0;
    other.record("/b", 20);
    other.record("/c", 30);
    const text = other.next(version)?.text ?? "";
    expect(text).toContain("~1c");
    expect(text).not.toMatch(/~1[ab]/);
  });

  test("publishes a removal of what it never recorded, once", () => {
    const { record, next } = publisher();
    record("/a", 10);
    record("/gone", 20, "removed");
    expect(next(10)?.text).toContain("~1gone");
    record("/gone", 30, "removed");
    expect(next(20)).toBeNull();
  });

  test("a position in the past is refused", () => {
    const { record } = publisher();
    record("/a", 10);
    expect(() => record("/b", 9)).toThrow("position 9 is in the past");
  });
});
