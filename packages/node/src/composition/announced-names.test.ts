import { createDirectory, type Registration } from "@tributary/merge-engine";
import { expect, test } from "vitest";
import { announceNames } from "./announced-names.js";
import { LOCAL_SOURCE } from "./memory-plan.js";

function setUp() {
  const directory = createDirectory();
  directory.openSource(LOCAL_SOURCE, { authority: null });
  directory.openSource("rd-b", { authority: "coap://[2001:db8::2]" });
  const log: string[] = [];
  const global = { announce: (name: string) => log.push(`+${name}`), withdraw: (name: string) => log.push(`-${name}`) };
  const put = (ep: string, more: Partial<Registration> = {}, source = LOCAL_SOURCE) => {
    const href = `/reg/${ep}${more.d ?? ""}`;
    const times = { renewedAtMs: 0, expiresAtMs: 1e6, expiry: "exact" as const };
    directory.put(source, { href, ep, base: "coap://[2001:db8::9]", attributes: [], links: [], ...times, ...more }, 0);
    return href;
  };
  return { directory, global, log, put };
}

test("names are announced while they are registered here, and those of upstreams are not", () => {
  const { directory, global, log, put } = setUp();
  put("before");
  const stop = announceNames({ directory, global, isWanted: () => true });
  put("upstream", {}, "rd-b");
  const href = put("new");
  directory.renew(LOCAL_SOURCE, href, { renewedAtMs: 1, expiresAtMs: 2e6 }, 1);
  directory.remove(LOCAL_SOURCE, href, 2);
  directory.expire(1e6);
  stop();
  put("late");
  expect(log).toEqual(["+before", "+new", "-new", "-before"]);
});

test("a name is announced until its last sector is gone", () => {
  const { directory, global, log, put } = setUp();
  announceNames({ directory, global, isWanted: () => true });
  for (const href of [put("n", { d: "x" }), put("n", { d: "y" })]) directory.remove(LOCAL_SOURCE, href, 1);
  put("n", { d: "x" });
  const other = put("n", { d: "y" });
  directory.remove(LOCAL_SOURCE, other, 1);
  expect(log).toEqual(["+n", "-n", "+n"]);
});

test("a registration that becomes one to be announced is announced, and the other way round", () => {
  const { directory, global, log, put } = setUp();
  announceNames({ directory, global, isWanted: ({ base }) => base.endsWith(":10000") });
  put("n");
  put("n", { base: "coap://[2001:db8::1]:10000" });
  put("n");
  expect(log).toEqual(["+n", "-n"]);
});
