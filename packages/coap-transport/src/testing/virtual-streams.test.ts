import { expect, test } from "vitest";
import { createVirtualStreams } from "./virtual-streams.js";
import { createVirtualWorld } from "./virtual-world.js";

const HERE = { address: "2001:db8::1", port: 40_000 };
const THERE = { address: "2001:db8::2", port: 5683 };

/** Both ends of a stream over a network that can be made bad, and what came out at the far one. */
async function connected() {
  const world = createVirtualWorld();
  const { clock, network } = world;
  const streams = createVirtualStreams(world, { transit: (from, to) => network.transit(from, to) });
  let text = "";
  const ended: string[] = [];
  streams.listen(THERE, (far) => {
    far.onBytes = (bytes) => {
      text += Buffer.from(bytes).toString("latin1");
    };
    far.onClosed = (error) => ended.push(`far: ${error?.message ?? "in order"}`);
  });
  const opening = streams.connect(HERE, THERE);
  await clock.advance(1);
  const near = await opening;
  near.onClosed = (error) => ended.push(`near: ${error?.message ?? "in order"}`);
  return { ...world, streams, near, ended, text: () => text, say: (words: string) => near.write(Buffer.from(words)) };
}

test("over a network that loses and reorders, all bytes come, once and in order", async () => {
  const { clock, network, say, text } = await connected();
  network.setConditions({ loss: 0.4, jitterMs: 100 });
  const words = Array.from({ length: 300 }, (_, index) => `${index} `);
  for (const word of words) say(word.repeat(50));
  await clock.advance(3_600_000);
  expect(text()).toBe(words.map((word) => word.repeat(50)).join(""));
});

test("what is said while the network is cut arrives some time after it is whole again", async () => {
  const { clock, network, say, text, ended } = await connected();
  network.partition([HERE.address], [THERE.address]);
  say("patience");
  await clock.advance(60_000);
  expect(text()).toBe("");
  network.heal();
  await clock.advance(60_000);
  expect(text()).toBe("patience");
  expect(ended).toEqual([]);
});

test("what cannot be sent for a quarter of an hour ends the stream on that side", async () => {
  const { clock, network, say, ended } = await connected();
  network.partition([HERE.address], [THERE.address]);
  say("lost");
  await clock.advance(1_200_000);
  expect(ended).toEqual(["near: timed out"]);
});

test("of a process that crashes the peer hears at once; of one that lost power, when it speaks to what came back", async () => {
  const loud = await connected();
  loud.streams.crash(THERE.address, false);
  await loud.clock.advance(2);
  expect(loud.ended).toEqual(["near: reset by the peer"]);

  const { streams, clock, say, ended } = await connected();
  streams.crash(THERE.address, true);
  say("anybody?");
  await clock.advance(10_000);
  expect(ended).toEqual([]);
  streams.powerUp(THERE.address);
  say("now?");
  await clock.advance(10);
  expect(ended).toEqual(["near: reset by the peer"]);
});

test("a new connection between the same ports ends what the other side remembers", async () => {
  const { streams, clock, ended } = await connected();
  streams.crash(HERE.address, true);
  streams.powerUp(HERE.address);
  const again = streams.connect(HERE, THERE);
  await clock.advance(2);
  await again;
  expect(ended).toEqual(["far: reset by the peer"]);
  const third = expect(streams.connect(HERE, THERE)).rejects.toThrow("address in use");
  await clock.advance(2);
  await third;
});
