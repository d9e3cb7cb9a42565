import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { addressHolder, type IpAddress, isMulticastAddress, parseIpAddress } from "./ip-address.js";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
  ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
  ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:0201", "192.0.2.1"],
  ["::192.0.2.1", "::192.0.2.1"],
  ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
])("%s is spelt %s", (text, want) => {
  expect(parseIpAddress(text)?.address).toBe(want);
});

test.each(["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", ":::", "1::2::3"])(
  "%j is not an address",
  (text) => {
    expect(parseIpAddress(text)).toBeNull();
  },
);

test("a zone is kept apart", () => {
  expect(parseIpAddress("fe80::1%eth0")).toEqual({ family: 6, address: "fe80::1", zone: "eth0" });
});

test("what is accepted is an address for the system too, and its spelling is stable", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), fc.ipV4(), fc.string()), (text) => {
      const parsed = parseIpAddress(text);
      if (parsed === null || parsed.zone !== undefined) return;
      expect(isIP(text)).not.toBe(0);
      expect(isIP(parsed.address)).toBe(parsed.family);
      expect(parseIpAddress(parsed.address)).toEqual(parsed);
    }),
  );
});

test.each([
  ["224.0.1.187", true],
  ["239.255.255.255", true],
  ["223.0.0.1", false],
  ["ff02::fd", true],
  ["fe80::1", false],
  ["ff::1", false],
])("%s multicast: %s", (address, want) => {
  expect(isMulticastAddress(address)).toBe(want);
});

test.each([
  { name: "an IPv4 address", a: "192.0.2.1", b: "192.0.2.2", isSame: false },
  { name: "one /64", a: "2001:db8::1", b: "2001:db8::ffff:0:0:2", isSame: true },
  { name: "two /64", a: "2001:db8::1", b: "2001:db8:0:1::1", isSame: false },
  { name: "one link", a: "fe80::1%eth0", b: "fe80::2%eth0", isSame: true },
  { name: "two links", a: "fe80::1%eth0", b: "fe80::1%eth1", isSame: false },
  { name: "IPv4 behind a translator (RFC 6052)", a: "64:ff9b::192.0.2.1", b: "64:ff9b::192.0.2.2", isSame: false },
])("whom an address counts for: $name", ({ a, b, isSame }) => {
  const [first, second] = [a, b].map((text) => addressHolder(parseIpAddress(text) as IpAddress));
  expect(first === second).toBe(isSame);
});
