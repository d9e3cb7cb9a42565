import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LOST_PENALTY_MS } from "../constants.js";
import { createDirectory } from "../directory.js";
import { registration } from "../testing/directories.js";
import type { Directory } from "../types.js";
import { compareRenewals, type Renewal } from "./total-order.js";

/** Close together, and about as far apart as what is lost is set back. */
const moment = fc.oneof(fc.nat(3), fc.integer({ min: LOST_PENALTY_MS - 2, max: LOST_PENALTY_MS + 2 }));
const renewal: fc.Arbitrary<Renewal> = fc.record({
  renewedAtMs: moment,
  href: fc
    .tuple(fc.constantFrom("", "coap://a", "coap+tcp://[2001:db8::1]:61616"), fc.constantFrom("/reg/1", "/reg/2"))
    .map((parts) => parts.join("")),
  base: fc.constantFrom("coap://x", "coap://y"),
  isLost: fc.boolean(),
});

describe("the order of renewals", () => {
  test("is total and transitive", () => {
    fc.assert(
      fc.property(renewal, renewal, renewal, (a, b, c) => {
        const [ab, bc, ac] = [compareRenewals(a, b), compareRenewals(b, c), compareRenewals(a, c)];
        expect(Math.sign(ab)).toBe(0 - Math.sign(compareRenewals(b, a)));
        if (ab <= 0 && bc <= 0) expect(ac).toBeLessThanOrEqual(0);
        if (ab === 0) expect(Math.sign(ac)).toBe(Math.sign(bc));
      }),
      { numRuns: 5000 },
    );
  });

  test("does not look at the authority under which somebody knows an RD", () => {
    fc.assert(
      fc.property(renewal, renewal, fc.webAuthority(), (a, b, authority) => {
        const elsewhere = { ...a, href: `coap://${authority}${a.href.replace(/^[^/]+:\/\/[^/]+/, "")}` };
        expect(compareRenewals(elsewhere, b)).toBe(compareRenewals(a, b));
      }),
    );
  });

  test.each([
    { name: "a lost RD loses what is closer than clocks can be trusted", laterMs: LOST_PENALTY_MS - 1, wins: "living" },
    { name: "it loses the very tie", laterMs: LOST_PENALTY_MS, wins: "living" },
    { name: "it still wins by more", laterMs: LOST_PENALTY_MS + 1, wins: "lost" },
  ])("$name", ({ laterMs, wins }) => {
    const living = { renewedAtMs: 0, href: "/reg/2", base: "coap://x", isLost: false };
    const lost = { renewedAtMs: laterMs, href: "/reg/1", base: "coap://x", isLost: true };
    expect(compareRenewals(living, lost) < 0 ? "living" : "lost").toBe(wins);
  });
});

/** What RDs tell of one endpoint, and what differs from proxy to proxy. */
interface Proxy {
  /** Sources have names of the proxy's own choice, and RDs authorities of its own point of view. */
  readonly names: readonly string[];
  readonly authorities: readonly string[];
  /** What it makes of the clock of each RD. */
  readonly errorsMs: readonly number[];
  readonly order: readonly number[];
  readonly lost: readonly boolean[];
}

const RDS = [0, 1, 2] as const;
const reports = fc.array(fc.record({ rd: fc.constantFrom(...RDS), stampMs: moment, path: fc.nat(2) }), {
  minLength: 1,
  maxLength: 8,
});
const perRd = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 3, maxLength: 3 });

function proxyOf(isLost: fc.Arbitrary<readonly boolean[]>): fc.Arbitrary<Proxy> {
  return fc.record({
    names: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { minLength: 3, maxLength: 3 }),
    authorities: perRd(fc.webAuthority().map((authority) => `coap://${authority}`)),
    errorsMs: perRd(fc.integer({ min: -2000, max: 2000 })),
    order: fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
    lost: isLost,
  });
}

function replay(records: readonly { rd: number; stampMs: number; path: number }[], proxy: Proxy): Directory {
  const directory = createDirectory();
  for (const rd of RDS) {
    directory.openSource(proxy.names[rd] as string, { authority: proxy.authorities[rd] as string });
    directory.setConnected(proxy.names[rd] as string, true, 0);
  }
  const shuffled = records
    .map((record, index) => ({ ...record, at: proxy.order[index] ?? 0 }))
    .sort((a, b) => a.at - b.at);
  for (const { rd, stampMs, path } of shuffled) {
    const estimateMs = stampMs + (proxy.errorsMs[rd] as number);
    const base = `coap://base-${rd}-${path}`;
    directory.put(proxy.names[rd] as string, registration(`/reg/${path}`, "n", estimateMs, { stampMs, base }), 0);
  }
  for (const rd of RDS) directory.setConnected(proxy.names[rd] as string, proxy.lost[rd] !== true, 0);
  return directory;
}

describe("every proxy with the same records shows the same", () => {
  const isLost = perRd(fc.boolean());
  const unique = reports.map((records) => [...new Map(records.map((one) => [`${one.rd} ${one.path}`, one])).values()]);

  test("whatever it calls its sources, makes of their clocks, and hears first", () => {
    const pair = isLost.chain((lost) => fc.tuple(proxyOf(fc.constant(lost)), proxyOf(fc.constant(lost))));
    fc.assert(
      fc.property(unique, pair, (records, [one, other]) => {
        const [shown, also] = [one, other].map((proxy) => replay(records, proxy).winner("n", undefined)?.base);
        expect(shown).toBe(also);
      }),
      { numRuns: 1000 },
    );
  });

  test("as soon as it follows the same clocks, whatever it took them for before", () => {
    const leads = perRd(fc.option(fc.integer({ min: 0, max: 5000 })));
    const lead = perRd(fc.integer({ min: 0, max: 5000 }));
    const pair = fc.tuple(proxyOf(fc.constant([])), proxyOf(fc.constant([])));
    fc.assert(
      fc.property(unique, pair, leads, lead, (records, [one, other], before, after) => {
        const [early, late] = [replay(records, one), replay(records, other)];
        for (const rd of RDS) early.setLead(one.names[rd] as string, before[rd] as number | null, 1);
        for (const rd of RDS) early.setLead(one.names[rd] as string, after[rd] as number, 2);
        for (const rd of RDS) late.setLead(other.names[rd] as string, after[rd] as number, 2);
        expect(early.winner("n", undefined)?.base).toBe(late.winner("n", undefined)?.base);
      }),
    );
  });
});

test("a registration here is placed by the clock that the node tells others", () => {
  const directory = createDirectory();
  directory.clock.noteWall(0, 1_790_000_000_000);
  directory.openSource("local", { authority: null });
  directory.openSource("rd", { authority: "coap://rd" });
  for (const source of ["local", "rd"]) directory.setConnected(source, true, 0);
  directory.put("local", registration("/reg/1", "n", 500), 500);
  directory.put("rd", registration("/reg/2", "n", 400, { stampMs: 1_790_000_000_499 }), 501);
  expect(directory.winner("n", undefined)?.source).toBe("local");
  const changes: (string | null)[] = [];
  directory.on("retimed", (source) => changes.push(source));
  directory.setLead("rd", 2, 502);
  expect(directory.winner("n", undefined)?.source).toBe("rd");
  directory.clock.observe(1_790_000_010_000, 510);
  expect(directory.winner("n", undefined)?.source).toBe("local");
  directory.setLead("rd", null, 511);
  directory.renew("rd", "/reg/2", { renewedAtMs: 501, expiresAtMs: 10_000_000, stampMs: 1 }, 512);
  expect(directory.winner("n", undefined)?.source).toBe("rd");
  expect(changes).toEqual(["rd", null, "rd"]);
});

test("there is an event when another registration is shown because an RD was lost", () => {
  const directory = createDirectory();
  for (const name of ["a", "b"]) {
    directory.openSource(name, { authority: `coap://${name}` });
    directory.setConnected(name, true, 0);
  }
  directory.put("a", registration("/reg/1", "n", 10), 10);
  directory.put("b", registration("/reg/2", "n", 20), 20);
  const shown: (string | undefined)[] = [];
  directory.on("visible", ({ before, after }) => shown.push(`${before?.shownHref} ${after?.shownHref}`));
  directory.setConnected("b", false, 30);
  directory.setConnected("b", true, 40);
  expect(shown).toEqual(["coap://b/reg/2 coap://a/reg/1", "coap://a/reg/1 coap://b/reg/2"]);
});

test("what this node stamped before a restart moves with its federation time like all else that it has", () => {
  const directory = createDirectory();
  directory.clock.noteWall(0, 1_790_000_000_000);
  directory.openSource("local", { authority: null });
  directory.setConnected("local", true, 0);
  directory.put("local", registration("/reg/1", "kept", 5, { stampMs: 1_790_000_000_004.25 }), 10);
  directory.put("local", registration("/reg/2", "new", 5), 10);
  directory.clock.observe(1_790_000_060_010, 10);
  const orders = ["kept", "new"].map((ep) => directory.winner(ep, undefined)?.orderMs);
  expect(orders).toEqual([1_790_000_060_004.25, 1_790_000_060_005]);
});
