import type { Peer } from "@tributary/coap-transport";
import { describe, expect, test } from "vitest";
import { LookupInterfaceError } from "./errors.js";
import { createReplicaPolicy } from "./replica-policy.js";

const may = (words: readonly string[], address: string) =>
  createReplicaPolicy(words)({ key: "", transport: "udp", address, port: 1 } satisfies Peer);

describe("registration.replicas", () => {
  test.each([
    { words: ["loopback"], yes: ["127.0.0.1", "127.255.0.9", "::1"], no: ["10.0.0.1", "::2", "2001:db8::1"] },
    {
      words: ["private"],
      yes: ["10.9.9.9", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fe80::1", "127.0.0.1", "::1"],
      no: ["172.32.0.1", "192.169.0.1", "8.8.8.8", "2001:db8::1", "fec0::1"],
    },
    { words: ["any"], yes: ["8.8.8.8", "2001:db8::1", "::1"], no: [] },
    { words: [], yes: [], no: ["127.0.0.1", "::1"] },
    {
      words: ["2001:db8:23::/48", "192.0.2.7"],
      yes: ["2001:db8:23::9", "192.0.2.7"],
      no: ["2001:db8:24::9", "192.0.2.8"],
    },
    { words: ["loopback", "10.0.0.0/8"], yes: ["127.0.0.1", "10.1.1.1"], no: ["11.1.1.1"] },
  ])("AGE-04 $words", ({ words, yes, no }) => {
    for (const address of yes) expect(may(words, address), address).toBe(true);
    for (const address of no) expect(may(words, address), address).toBe(false);
  });

  test.each([
    "everyone",
    "10.0.0.0/33",
    "::/129",
    "10.0.0/8",
    "10.0.0.0/",
    "fe80::1%eth0",
    "",
    "10.0.0.0/8/8",
    "::1/-1",
  ])("%s is refused", (word) => {
    expect(() => createReplicaPolicy([word])).toThrow(LookupInterfaceError);
  });
});
