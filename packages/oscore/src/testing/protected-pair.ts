import { type CoapEndpointOptions, createCoapEndpoint, type RequestHandler } from "@tributary/coap-transport";
import { createVirtualWorld, type VirtualWorld } from "@tributary/coap-transport/testing";
import { SecurityContext } from "../context/security-context.js";
import { DEFAULT_ALGORITHM } from "../crypto/algorithms.js";
import { protectRequests } from "../layers/client-protection.js";
import { protectServer } from "../layers/server-protection.js";
import { MemoryStore } from "./memory-store.js";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const SERVER = "2001:db8::1";

/** Both halves of one security context; `secret` and `store` as given. */
export function makeContext(
  side: "client" | "server",
  { secret = "0102030405060708090a0b0c0d0e0f10", store = new MemoryStore() } = {},
): SecurityContext {
  const [senderId, recipientId] = side === "client" ? ["01", "02"] : ["02", "01"];
  let drawn = 0;
  return new SecurityContext(
    { store, randomBytes: (length) => new Uint8Array(length).fill(++drawn), onError: () => {} },
    {
      algorithm: DEFAULT_ALGORITHM,
      hash: "sha256",
      masterSecret: bytes(secret),
      masterSalt: bytes(""),
      senderId: bytes(senderId as string),
      recipientId: bytes(recipientId as string),
    },
    32,
  );
}

export interface PairOptions {
  readonly server?: SecurityContext;
  readonly client?: SecurityContext;
  readonly serverOptions?: CoapEndpointOptions;
}

/** A client and a server in virtual time that share a security context, and every datagram between them. */
export function protectedPair(handler: RequestHandler, options: PairOptions = {}) {
  const world: VirtualWorld = createVirtualWorld();
  const { env, network } = world;
  const datagrams: Uint8Array[] = [];
  network.onEvent = ({ fate, datagram }) => {
    if (fate === "delivered") datagrams.push(datagram);
  };
  let context = options.server ?? makeContext("server");
  const protection = protectServer(() => [{ name: "lamp", identity: "lamp", context }]);
  const serverSocket = network.open(SERVER, 5683);
  const server = createCoapEndpoint({ socket: serverSocket, env }, { handler, protection, ...options.serverOptions });
  const client = createCoapEndpoint(
    { socket: network.open("2001:db8::2", 40_000), env },
    { protect: () => protectRequests(options.client ?? own) },
  );
  const own = makeContext("client");
  const plain = createCoapEndpoint({ socket: network.open("2001:db8::3", 40_000), env });
  /** The server has lost what it received, as after a crash. */
  const restart = (store: MemoryStore): void => {
    context = makeContext("server", { store });
  };
  /** Runs the world until `promise` is settled. */
  async function settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    promise.then(done, done);
    for (let steps = 0; !isSettled && steps < 200_000; steps += 10) await world.clock.advance(10);
    return await promise;
  }
  return { ...world, server, serverSocket, client, plain, datagrams, settled, restart, uri: `coap://[${SERVER}]` };
}
