import { createSocket, type Socket } from "node:dgram";
import { setTimeout as delay } from "node:timers/promises";
import { openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { type Findings, ms, percentile, rate, type Tell } from "./figures.ts";
import { startNode } from "./node-process.ts";
import { lookupDatagram } from "./workload.ts";

const OBSERVERS = [1, 10, 100, 1_000, 10_000] as const;
const PER_SOCKET = 500;
const CHANGES = 20;

/** How long it takes until every observer of a lookup has heard of a change. */
export async function measureObservers(tell: Tell): Promise<Findings> {
  const rows: (string | number)[][] = [];
  const points: { series: string; x: number; y: number }[] = [];
  for (const count of OBSERVERS) {
    const server = await startNode({
      registration: {},
      limits: { observers: count, "observers-per-client": count, exchanges: 16_384 },
    });
    const crowd = await Crowd.open(server.port, count);
    const client = await openCoapClient(
      { env: { clock: systemClock(), random: Math.random, logger: silentLogger } },
      {},
    );
    try {
      await crowd.observe();
      const took: number[] = [];
      for (let change = 0; change < CHANGES; change++) {
        const startMs = performance.now();
        const heard = crowd.untilAllHeard();
        await client.request({
          method: 2,
          uri: `coap://127.0.0.1:${server.port}/rd`,
          query: ["ep=tick", "d=watched", `et=${change}`, "base=coap://tick.example"],
        });
        await heard;
        took.push(performance.now() - startMs);
        await delay(20);
      }
      const p50 = percentile(took, 0.5);
      rows.push([count, ms(p50), ms(Math.max(...took)), rate((count / p50) * 1000)]);
      points.push({ series: "all have heard", x: count, y: p50 });
      tell(`  ${count} observers: all have heard after ${ms(p50)} ms, ${rate((count / p50) * 1000)}/s`);
    } finally {
      crowd.close();
      await client.close();
      await server.stop();
    }
  }
  return {
    tables: [
      {
        title: "Observers of a lookup",
        about: `So many clients observe the same lookup, and acknowledge every notification; ${CHANGES} changes, one after the other. From the request that makes the change until the last of them has heard.`,
        columns: ["observers", "p50, ms", "longest, ms", "notifications/s"],
        rows,
      },
    ],
    targets: [],
    plots: [
      {
        file: "observers",
        title: "Until every observer has heard of a change",
        x: "observers",
        y: "ms",
        isLogX: true,
        isLogY: true,
        points,
      },
    ],
  };
}

const OBSERVE_REGISTER = 0x60;

/** Clients that do nothing but observe and acknowledge. */
class Crowd {
  readonly #sockets: Socket[] = [];
  readonly #port: number;
  readonly #count: number;
  #heard = 0;
  #onAll: (() => void) | null = null;

  static async open(port: number, count: number): Promise<Crowd> {
    const crowd = new Crowd(port, count);
    for (let index = 0; index < Math.ceil(count / PER_SOCKET); index++) await crowd.#addSocket();
    return crowd;
  }

  private constructor(port: number, count: number) {
    this.#port = port;
    this.#count = count;
  }

  async observe(): Promise<void> {
    const all = this.untilAllHeard();
    const request = observed(lookupDatagram(["rd-lookup", "ep"], ["d=watched"]));
    for (let index = 0; index < this.#count; index++) {
      const datagram = Buffer.from(request);
      datagram.writeUInt16BE(index & 0xffff, 2);
      datagram.writeUInt32BE(index, 4);
      (this.#sockets[index % this.#sockets.length] as Socket).send(datagram);
      if (index % 100 === 99) await delay(2);
    }
    await all;
  }

  untilAllHeard(): Promise<void> {
    this.#heard = 0;
    return new Promise((resolve) => {
      this.#onAll = resolve;
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async #addSocket(): Promise<void> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.connect(this.#port, "127.0.0.1", resolve));
    socket.setRecvBufferSize(4_194_304);
    socket.on("message", (datagram) => {
      if ((datagram[0] as number) >> 4 === 4)
        socket.send(Buffer.from([0x60, 0, datagram[2] as number, datagram[3] as number]));
      if (++this.#heard === this.#count) this.#onAll?.();
    });
    this.#sockets.push(socket);
  }
}

/** The same with an Observe option (RFC 7641), which goes before the path. */
function observed(request: Buffer): Buffer {
  const head = request.subarray(0, 8);
  const [first = 0, ...rest] = request.subarray(8);
  // The path is option 11, now 5 behind Observe.
  return Buffer.concat([head, Buffer.from([OBSERVE_REGISTER, (first & 15) | (5 << 4), ...rest])]);
}
