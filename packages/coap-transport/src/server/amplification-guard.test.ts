import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import type { Peer } from "../types.js";
import { type AmplificationGuardOptions, createAmplificationGuard } from "./amplification-guard.js";

const at = (address: string, port = 5683): Peer => ({ key: `udp/${address}/${port}`, transport: "udp", address, port });
const CLIENT = at("2001:db8::2");

function guarded(options: Partial<AmplificationGuardOptions> = {}) {
  const clock = createVirtualClock();
  const guard = createAmplificationGuard({ clock }, { echoLifetimeMs: 1000, verifiedForMs: 5000, ...options });
  return { clock, guard };
}

test("FRS-03 a value is 1 to 40 bytes, tells nothing of the address, and differs from process to process", () => {
  const { guard } = guarded();
  const echo = guard.issue(CLIENT);
  expect(echo.length).toBe(20);
  expect(Buffer.from(echo).includes("2001:db8")).toBe(false);
  expect(guarded().guard.issue(CLIENT)).not.toEqual(echo);
});

test("SEC-08 an address is known from the first valid value on, on every port, until its time is over", async () => {
  const { clock, guard } = guarded();
  expect(guard.examine(CLIENT, undefined)).toBe("none");
  expect(guard.examine(CLIENT, guard.issue(CLIENT))).toBe("fresh");
  expect(guard.examine(at("2001:db8::2", 9), undefined)).toBe("seen");
  await clock.advance(4999);
  expect(guard.examine(CLIENT, undefined)).toBe("seen");
  await clock.advance(1);
  expect(guard.examine(CLIENT, undefined)).toBe("none");
});

test("requests without Echo do not make the time of an address longer: they may be forged", async () => {
  const { clock, guard } = guarded();
  guard.examine(CLIENT, guard.issue(CLIENT));
  for (let step = 0; step < 5; step++) {
    expect(guard.examine(CLIENT, undefined)).toBe("seen");
    await clock.advance(1000);
  }
  expect(guard.examine(CLIENT, undefined)).toBe("none");
});

test("FRS-03 a value is good for its time, one millisecond less and no more", async () => {
  const { clock, guard } = guarded();
  const echo = guard.issue(CLIENT);
  await clock.advance(999);
  expect(guard.examine(CLIENT, echo)).toBe("fresh");
  await clock.advance(1);
  expect(guard.examine(at("2001:db8::2"), echo)).toBe("seen");
});

test.each([
  { name: "of another client", forge: (echo: Buffer) => echo, peer: at("2001:db8::3") },
  {
    name: "of another zone",
    forge: (echo: Buffer) => echo,
    peer: { ...CLIENT, zone: "eth1" },
  },
  { name: "with another time", forge: (echo: Buffer) => echo.fill(1, 3, 4), peer: CLIENT },
  { name: "with another MAC", forge: (echo: Buffer) => echo.fill(0, 19), peer: CLIENT },
  { name: "cut", forge: (echo: Buffer) => echo.subarray(0, 12), peer: CLIENT },
  { name: "longer", forge: (echo: Buffer) => Buffer.concat([echo, Buffer.of(0)]), peer: CLIENT },
])("FRS-03 a value $name proves nothing", ({ forge, peer }) => {
  const { guard } = guarded();
  const forged = forge(Buffer.from(guard.issue(CLIENT)));
  expect(guard.examine(peer, forged)).toBe("none");
  expect(guard.size).toBe(0);
});

test("trusted peers, and those over a connection, are asked for nothing and take no room", () => {
  const { guard } = guarded({ isTrusted: ({ address }) => address === "::1" });
  expect(guard.examine(at("::1"), undefined)).toBe("trusted");
  expect(guard.examine(at("::1"), guard.issue(at("::1")))).toBe("fresh");
  expect(guard.examine({ ...CLIENT, transport: "tcp" }, undefined)).toBe("trusted");
  expect(guard.size).toBe(0);
});

test("SEC-12 no more addresses are remembered than allowed: the one verified longest ago goes", async () => {
  const { clock, guard } = guarded({ maxVerifiedPeers: 3 });
  for (let host = 1; host <= 1000; host++) {
    const peer = at(`2001:db8::${host.toString(16)}`);
    guard.examine(peer, guard.issue(peer));
    await clock.advance(1);
  }
  expect(guard.size).toBe(3);
  expect(guard.examine(at("2001:db8::3e8"), undefined)).toBe("seen");
  expect(guard.examine(at("2001:db8::3e5"), undefined)).toBe("none");
});

test("the allowance is three times the request, or what is free", () => {
  const { guard } = guarded({ freeBytes: 136 });
  expect([guard.allowance(17), guard.allowance(45), guard.allowance(46)]).toEqual([136, 136, 138]);
});
