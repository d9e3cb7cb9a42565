import { createDirectory, DEFAULT_RECORD_LIMITS } from "@tributary/merge-engine";
import { createChangeLog, type FeedKind } from "@tributary/replication";
import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { FeedCopy } from "./feed/feed-copy.js";
import { LeftOut } from "./left-out.js";

const COUNT = 500;
const HOUR_MS = 3_600_000;

/** An RD with registrations of content `version`, and a copy of it. */
function follow() {
  const clock = createVirtualClock();
  const directory = createDirectory();
  directory.openSource("rd", { authority: "coap://rd" });
  directory.setConnected("rd", true, 0);
  const leftOut = new LeftOut({ appeared: () => {}, cleared: () => {} });
  const positions: unknown[] = [];
  const options = {
    source: "rd",
    account: "rd",
    filters: [],
    assumedLifetimeMs: HOUR_MS,
    limits: DEFAULT_RECORD_LIMITS,
    onPosition: (position: unknown) => positions.push(position),
  };
  const copy = new FeedCopy(directory, options, leftOut, clock);
  /** The first copy from an RD that has all of its registrations with this content. */
  const copies = (epoch: number, content: number, count = COUNT) => {
    const log = createChangeLog({ epoch });
    const names = Array.from({ length: count }, (_, at) => `/reg/${at}`);
    for (const href of names) log.record({ href, kind: "added", endpointChanged: true, linksChanged: true });
    const get = (href: string) => ({
      ...{ href, ep: `n${href}`, base: "coap://h", ltMs: HOUR_MS, renewedAtMs: 0, expiresAtMs: HOUR_MS },
      expiry: "exact" as const,
      attributes: [["et", `c${content}`]] as const,
      links: [{ target: `coap://h/${content}`, attributes: [] }],
    });
    const of = (kind: FeedKind) =>
      new TextEncoder().encode(log.nextPatch(log.open(kind, [], null), { get, nowMs: 0 }, 200_000)?.text ?? "");
    return { ep: of("ep"), res: of("res") };
  };
  const steps = (kind: FeedKind, patch: Uint8Array) => copy.apply(0, kind, patch, 0);
  return { directory, copy, copies, steps, positions };
}

/** To its end, calling `inBetween` at every pause; how many there were. */
function run(work: Generator<void, unknown>, inBetween: (pauses: number) => void = () => {}): number {
  let pauses = 0;
  while (work.next().done !== true) inBetween(++pauses);
  return pauses;
}

test("registrations change one by one, each as a whole, and none is missing in between", () => {
  const { directory, steps, copies } = follow();
  const [before, after] = [copies(1, 1), copies(2, 2)];
  run(steps("ep", before.ep));
  run(steps("res", before.res));
  const seen = new Set<string>();
  const look = () => {
    expect(directory.counts("rd").total).toBe(COUNT);
    for (const { registration } of directory.inspect())
      seen.add(`${registration.attributes[0]?.[1]} ${registration.links[0]?.target}`);
  };
  run(steps("ep", after.ep), look);
  const pauses = run(steps("res", after.res), look);
  expect(pauses).toBeGreaterThan(COUNT / 16);
  look();
  expect([...seen].sort()).toEqual(["c1 coap://h/1", "c2 coap://h/2"]);
});

test("one that is closed half-way writes nothing more, and has reported no position", () => {
  const { directory, copy, steps, copies, positions } = follow();
  const { ep, res } = copies(1, 1);
  run(steps("ep", ep));
  let atClose = 0;
  run(steps("res", res), () => {
    if (directory.counts("rd").total < COUNT / 2) return;
    if (atClose === 0) atClose = directory.counts("rd").total;
    copy.close();
  });
  expect(atClose).toBeGreaterThan(0);
  expect(directory.counts("rd").total).toBe(atClose);
  expect(positions).toEqual([]);
});

test("an RD that comes back empty is emptied in steps", () => {
  const { directory, steps, copies } = follow();
  const [before, after] = [copies(1, 1), copies(2, 2, 1)];
  for (const kind of ["ep", "res"] as const) run(steps(kind, before[kind]));
  run(steps("ep", after.ep));
  const counts = new Set<number>();
  run(steps("res", after.res), () => counts.add(directory.counts("rd").total));
  expect(counts.size).toBeGreaterThan(COUNT / 16);
  expect(directory.counts("rd").total).toBe(1);
});
