import { describe, expect, test } from "vitest";
import { hello } from "../testing/greeting-server.js";
import { serveStreamsAt } from "../testing/stream-endpoints.js";
import { createVirtualStreams } from "../testing/virtual-streams.js";
import { createVirtualWorld } from "../testing/virtual-world.js";
import { SharedConnections } from "./shared-connections.js";

const ADDRESS = "2001:db8::1";

/** Listeners on several ports that share places for connections. */
function listeners(limits: { maxConnections: number; maxConnectionsPerAddress: number }, own: number) {
  const world = createVirtualWorld({ seed: 1 });
  const streams = createVirtualStreams(world, {});
  const sharedConnections = new SharedConnections(limits);
  const servers = [1, 2, 3].map((port) =>
    serveStreamsAt(
      { env: world.env, streams, handler: hello },
      { address: ADDRESS, port },
      { sharedConnections, streamLimits: { maxConnections: own } },
    ),
  );
  const connect = async (from: string, port: number) => {
    const opening = streams.connect({ address: from, port: 0 }, { address: ADDRESS, port });
    await world.clock.advance(1);
    const socket = await opening;
    await world.clock.advance(2);
    return socket;
  };
  const rejected = () => servers.map(({ counters }) => Object.fromEntries(counters.rejected));
  return { connect, rejected, sharedConnections, sizes: () => servers.map((one) => one.tableSizes().connections) };
}

describe("listeners that share places for connections", () => {
  test("when all are taken, the holder of most gives way, at any of the listeners", async () => {
    const { connect, rejected, sharedConnections, sizes } = listeners(
      { maxConnections: 3, maxConnectionsPerAddress: 3 },
      8,
    );
    const rich = [];
    for (const port of [1, 2, 3]) rich.push(await connect("2001:db8:a::1", port));
    const newcomer = await connect("2001:db8:b::1", 3);
    expect([...rich, newcomer].map(({ isClosed }) => isClosed)).toEqual([true, false, false, false]);
    expect([sharedConnections.size, sizes(), rejected()]).toEqual([
      3,
      [0, 1, 2],
      [{}, {}, { "connection-replaced": 1 }],
    ]);
  });

  test("the bounds of each listener, and of an address at all of them, hold as well", async () => {
    const { connect, rejected, sharedConnections } = listeners({ maxConnections: 9, maxConnectionsPerAddress: 2 }, 1);
    const first = await connect("2001:db8:a::1", 1);
    const second = await connect("2001:db8:a::1", 2);
    const third = await connect("2001:db8:a::1", 3);
    const other = await connect("2001:db8:b::1", 1);
    expect([first, second, third, other].map(({ isClosed }) => isClosed)).toEqual([true, false, true, false]);
    expect(rejected()).toEqual([{ "connection-replaced": 1 }, {}, { "connection-limit-per-address": 1 }]);
    // What gave way has no place of either kind.
    expect(sharedConnections.size).toBe(2);
  });

  test("a place is free again when its connection is closed", async () => {
    const { connect, sharedConnections } = listeners({ maxConnections: 1, maxConnectionsPerAddress: 1 }, 8);
    const one = await connect("2001:db8:a::1", 1);
    expect((await connect("2001:db8:a::1", 2)).isClosed).toBe(true);
    one.destroy();
    const other = await connect("2001:db8:a::1", 2);
    expect([other.isClosed, sharedConnections.size]).toEqual([false, 1]);
  });
});
