import { expect, test } from "vitest";
import { createVirtualWorld } from "./virtual-world.js";

function pair() {
  const world = createVirtualWorld();
  const one = world.network.open("2001:db8::1", 0);
  const other = world.network.open("2001:db8::2", 5683);
  const received: [string, number, boolean][] = [];
  other.onDatagram = (datagram, from, isMulticast) =>
    received.push([`${from.address} ${datagram[0]}`, world.clock.nowMs(), isMulticast]);
  const send = (byte: number, address = "2001:db8::2") => one.send(Uint8Array.of(byte), { address, port: 5683 });
  return { ...world, one, other, received, send };
}

test("datagrams arrive after the delay", async () => {
  const { clock, network, received, send } = pair();
  network.setConditions({ delayMs: 10 });
  send(1);
  await clock.advance(9);
  expect(received).toEqual([]);
  await clock.advance(1);
  expect(received).toEqual([["2001:db8::1 1", 10, false]]);
});

test("a datagram is what it was when sent", async () => {
  const { clock, one, received } = pair();
  const bytes = Uint8Array.of(1);
  one.send(bytes, { address: "2001:db8::2", port: 5683 });
  bytes[0] = 2;
  await clock.advance(5);
  expect(received[0]?.[0]).toBe("2001:db8::1 1");
});

test("loss, duplication and reordering come out in about their proportions, the same each time", async () => {
  const run = async (): Promise<string[]> => {
    const { clock, network, received, send } = pair();
    network.setConditions({ loss: 0.3, duplication: 0.2, jitterMs: 50 });
    for (let index = 0; index < 200; index++) send(index);
    await clock.advance(1000);
    return received.map(([what]) => what);
  };
  const first = await run();
  expect(first).toEqual(await run());
  expect(first.length).toBeGreaterThan(130);
  expect(first.length).toBeLessThan(200);
  expect(new Set(first).size).toBeLessThan(first.length);
  expect(first).not.toEqual([...first].sort());
});

test("a partition cuts what is in different sets, also what is under way, until healed", async () => {
  const { clock, network, received, send } = pair();
  send(1);
  network.partition(["2001:db8::1"], ["2001:db8::2"]);
  await clock.advance(5);
  send(2);
  await clock.advance(5);
  network.heal();
  send(3);
  await clock.advance(5);
  expect(received.map(([what]) => what)).toEqual(["2001:db8::1 3"]);
});

test("conditions of a link hold in its direction only", async () => {
  const { clock, network, one, other, received, send } = pair();
  network.setLink("2001:db8::1", "2001:db8::2", { loss: 1 });
  let back = 0;
  one.onDatagram = () => back++;
  send(1);
  other.send(Uint8Array.of(1), one.local);
  await clock.advance(5);
  expect([received.length, back]).toEqual([0, 1]);
});

test("multicast reaches members only, marked as such", async () => {
  const { clock, network, received, send } = pair();
  const member = network.open("2001:db8::3", 5683, { groups: ["ff02::fd"] });
  const heard: boolean[] = [];
  member.onDatagram = (_datagram, _from, isMulticast) => heard.push(isMulticast);
  send(1, "ff02::fd");
  await clock.advance(5);
  expect([received.length, heard]).toEqual([0, [true]]);
});

test("where nobody listens, senders get an error if so set; a closed socket hears nothing", async () => {
  const { clock, network, one, other, received, send } = pair();
  const errors: Error[] = [];
  one.onError = (error) => errors.push(error);
  send(1);
  other.close();
  await clock.advance(5);
  expect([received.length, errors.length]).toEqual([0, 0]);
  network.setConditions({ reportsUnreachable: true });
  send(2);
  await clock.advance(5);
  expect(errors).toMatchObject([{ code: "ECONNREFUSED", address: "2001:db8::2", port: 5683 }]);
});

test("an address is taken once, and free again when closed", () => {
  const { network, other } = pair();
  expect(() => network.open("2001:db8::2", 5683)).toThrow(expect.objectContaining({ code: "BIND_FAILED" }));
  other.close();
  network.open("2001:db8::2", 5683);
});
