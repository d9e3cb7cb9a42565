import { connect, createServer, type Socket } from "node:net";

/** A way to a TCP port of loopback that can be broken, and cut. */
export interface BreakableWay {
  /** `coap+tcp://…` at this end. */
  readonly uri: string;
  /** Resets all connections; new ones are passed on. */
  breakAll(): void;
  /** The same, and nothing is passed on until it is healed. */
  cut(): void;
  heal(): void;
  close(): void;
}

/** Passes connections on to a port. */
export async function openWay(port: number): Promise<BreakableWay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((socket) => {
    if (isCut) {
      socket.destroy();
      return;
    }
    const onward = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const breakAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  };
  const cut = (): void => {
    isCut = true;
    breakAll();
  };
  return {
    uri: `coap+tcp://127.0.0.1:${typeof bound === "object" ? bound?.port : 0}`,
    breakAll,
    cut,
    heal() {
      isCut = false;
    },
    close() {
      cut();
      server.close();
    },
  };
}
