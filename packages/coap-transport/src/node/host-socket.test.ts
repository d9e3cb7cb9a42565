import { silentLogger } from "@tributary/runtime";
import { createVirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { VirtualHost } from "../testing/virtual-host.js";
import type { DatagramPeer } from "../types.js";
import { HostInterfaces } from "./host-interfaces.js";
import { HostSocket, type HostSocketOptions, MAX_ADDRESS_SOCKETS } from "./host-socket.js";

const ETH0 = ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64", "fe80::1/64"];
const PEER = { address: "192.0.2.9", port: 40_000 };

interface Received {
  readonly text: string;
  readonly local: string | undefined;
  readonly isMulticast: boolean;
}

async function open(
  interfaces: Readonly<Record<string, readonly string[]>>,
  { address = "::", ...options }: Partial<HostSocketOptions> & { address?: string } = {},
) {
  const clock = createVirtualClock();
  const host = new VirtualHost();
  host.setInterfaces(interfaces);
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const socket = new HostSocket(
    await host.bind(address, 5683, {}),
    { env: { clock, random: () => 0.5, logger }, interfaces: new HostInterfaces(clock, host.list), bind: host.bind },
    { followsAddresses: true, groups: [], refusedGroups: [], ...options },
  );
  const received: Received[] = [];
  const peers: DatagramPeer[] = [];
  socket.onDatagram = (datagram, from, isMulticast) => {
    received.push({ text: Buffer.from(datagram).toString(), local: from.local, isMulticast });
    peers.push(from);
  };
  await socket.start();
  const reply = (text: string): void => socket.send(Buffer.from(text), peers.at(-1) as DatagramPeer);
  return { clock, host, socket, received, reply, warnings };
}

describe("a message leaves from the address that the peer spoke to (RFC 7252 section 5.3.2)", () => {
  test.each(["192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::1%eth0", "::1"])("%s", async (address) => {
    const { host, received, reply } = await open({ lo: ["::1/128"], eth0: ETH0 });
    host.deliver(address, "question", { address: "2001:db8::9", port: 7 });
    reply("response");
    expect(received).toEqual([{ text: "question", local: address, isMulticast: false }]);
    expect(host.sent).toEqual([{ from: address, to: "2001:db8::9", text: "response" }]);
  });

  test("a wildcard of one family binds no address of the other", async () => {
    const { host } = await open({ eth0: ETH0 }, { address: "0.0.0.0" });
    expect(host.bound.filter((address) => address.includes(":"))).toEqual([]);
    expect(host.bound).toContain("192.0.2.2");
  });

  test("what no socket is bound to is served by the wildcard socket", async () => {
    const { host, received, reply } = await open({ eth0: ETH0 });
    host.deliver("::", "question", { address: "::ffff:127.0.0.9", port: 7 });
    reply("response");
    expect(received).toEqual([{ text: "question", local: undefined, isMulticast: false }]);
    expect(host.sent).toEqual([{ from: "::", to: "::ffff:127.0.0.9", text: "response" }]);
  });

  test("there is a bound on sockets, and a warning beyond it", async () => {
    const links = Array.from({ length: 100 }, (_, at) => [`veth${at}`, [`fe80::${at + 1}/64`]]);
    const many = Array.from({ length: MAX_ADDRESS_SOCKETS + 40 }, (_, at) => `2001:db8::${(at + 1).toString(16)}/64`);
    const { host, clock, warnings } = await open(
      { ...Object.fromEntries(links), eth0: many },
      { groups: ["ff02::1", "ff02::fd", "ff02::fe"] },
    );
    await clock.advance(10_000);
    expect(host.bound.filter((address) => address.startsWith("2001:db8:"))).toHaveLength(MAX_ADDRESS_SOCKETS);
    expect(host.bound.filter((address) => address.startsWith("ff02:"))).toHaveLength(256);
    expect(warnings).toHaveLength(1);
  });
});

describe("interfaces that change", () => {
  test("an address that comes later is bound, and groups are joined on its interface", async () => {
    const { host, clock, reply } = await open({ lo: ["::1/128"] }, { groups: ["ff02::fd", "224.0.1.187"] });
    host.setInterfaces({ lo: ["::1/128"], eth0: ETH0 });
    await clock.advance(2000);
    host.deliver("192.0.2.2", "question", PEER);
    reply("response");
    expect(host.sent).toEqual([{ from: "192.0.2.2", to: PEER.address, text: "response" }]);
    expect(host.groupsOf("ff02::fd%eth0")).toEqual(["ff02::fd ::%eth0"]);
    expect(host.groupsOf("224.0.1.187")).toEqual(["224.0.1.187 192.0.2.1"]);
  });

  test("an address that cannot be bound yet is tried again (RFC 4862 section 5.4)", async () => {
    const { host, clock } = await open({ lo: ["::1/128"] });
    host.refused.add("2001:db8::1");
    host.setInterfaces({ lo: ["::1/128"], eth0: ETH0 });
    await clock.advance(4000);
    expect(host.bound).not.toContain("2001:db8::1");
    host.refused.clear();
    await clock.advance(2000);
    expect(host.bound).toContain("2001:db8::1");
  });

  test("a lost carrier takes no socket away at once; an address that stays away is given up", async () => {
    const { host, clock, reply } = await open({ eth0: ETH0 });
    host.deliver("192.0.2.2", "question", PEER);
    host.setInterfaces({});
    await clock.advance(10_000);
    expect(host.bound).toContain("192.0.2.2");
    await clock.advance(60_000);
    expect(host.bound).not.toContain("192.0.2.2");
    reply("lost"); // from another address it would be of no use
    expect(host.sent).toEqual([]);
    host.setInterfaces({ eth0: ETH0 });
    await clock.advance(2000);
    reply("found");
    expect(host.sent).toEqual([{ from: "192.0.2.2", to: PEER.address, text: "found" }]);
  });

  test("sockets of a link go with it, for it may come back with another index", async () => {
    const { host, clock } = await open({ eth0: ETH0 }, { groups: ["ff02::fd"] });
    host.setInterfaces({});
    await clock.advance(2000);
    expect(host.bound.filter((address) => address.includes("%"))).toEqual([]);
    host.setInterfaces({ eth0: ETH0 });
    await clock.advance(2000);
    expect(host.bound).toEqual(expect.arrayContaining(["fe80::1%eth0", "ff02::fd%eth0"]));
  });

  test("nothing is bound after the end", async () => {
    const { host, clock, socket } = await open({ eth0: ETH0 });
    socket.close();
    host.setInterfaces({ eth0: [...ETH0, "192.0.2.3/24"] });
    await clock.advance(10_000);
    expect(host.bound).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe("what was sent to more than one host (RFC 7252 section 8)", () => {
  test.each(["ff02::1%eth0", "224.0.0.1", "192.0.2.255", "255.255.255.255"])("%s", async (address) => {
    const { host, received } = await open({ eth0: ETH0 }, { groups: ["ff02::1", "224.0.0.1"] });
    host.deliver(address, "question", PEER);
    expect(received).toEqual([{ text: "question", local: undefined, isMulticast: true }]);
  });

  test("the wildcard socket refuses groups", async () => {
    const { host } = await open({ eth0: ETH0 }, { refusedGroups: ["ff02::1", "224.0.0.1"] });
    expect(host.groupsOf("::")).toEqual(["-ff02::1 ::%eth0", "-224.0.0.1 192.0.2.1"]);
  });

  test.each([
    { name: "before", order: ["255.255.255.255", "::"] },
    { name: "behind", order: ["::", "255.255.255.255"] },
  ])("a broadcast that the wildcard socket got as well, $name the other, counts once", async ({ order }) => {
    const { host, clock, received } = await open({ eth0: ETH0 });
    for (const address of order) host.deliver(address, "question", PEER);
    await clock.advance(100);
    expect(received).toEqual([{ text: "question", local: undefined, isMulticast: true }]);
  });

  test("what only the wildcard socket got is unicast", async () => {
    const { host, clock, received } = await open({ eth0: ETH0 });
    host.deliver("::", "question", PEER);
    await clock.advance(100);
    expect(received).toEqual([{ text: "question", local: undefined, isMulticast: false }]);
  });
});
