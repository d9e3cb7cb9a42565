import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { VirtualHost } from "../testing/virtual-host.js";
import { HostInterfaces } from "./host-interfaces.js";

test.each([
  { name: "a subnet", cidr: "192.0.2.1/24", broadcasts: ["192.0.2.255"] },
  { name: "a small subnet", cidr: "192.0.2.129/30", broadcasts: ["192.0.2.131"] },
  { name: "a large subnet", cidr: "10.1.2.3/9", broadcasts: ["10.127.255.255"] },
  { name: "a link of two (RFC 3021)", cidr: "192.0.2.4/31", broadcasts: [] },
  { name: "one host", cidr: "192.0.2.4/32", broadcasts: [] },
  { name: "loopback", cidr: "127.0.0.1/8", broadcasts: [] },
  { name: "IPv6", cidr: "2001:db8::1/64", broadcasts: [] },
])("broadcast addresses of $name", ({ cidr, broadcasts }) => {
  const host = new VirtualHost();
  host.setInterfaces({ eth0: [cidr] });
  expect(new HostInterfaces(createVirtualClock(), host.list).list()[0]?.broadcasts).toEqual(broadcasts);
});

test("the system is asked once in two seconds", async () => {
  const clock = createVirtualClock();
  const host = new VirtualHost();
  let asked = 0;
  const interfaces = new HostInterfaces(clock, () => {
    asked++;
    return host.list();
  });
  expect(interfaces.hasAddress("192.0.2.1")).toBe(false);
  host.setInterfaces({ eth0: ["192.0.2.1/24", "fe80::1/64"] });
  for (let at = 0; at < 100; at++) interfaces.hasAddress("192.0.2.1");
  expect(asked).toBe(1);
  await clock.advance(2000);
  expect(["192.0.2.1", "fe80::1", "192.0.2.2"].map((address) => interfaces.hasAddress(address))).toEqual([
    true,
    true,
    false,
  ]);
  expect(asked).toBe(2);
});
