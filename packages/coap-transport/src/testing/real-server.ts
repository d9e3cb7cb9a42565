import type { Environment } from "@tributary/runtime";
import { silentLogger, systemClock } from "@tributary/runtime";
import { listenCoap } from "../node/coap-listener.js";
import { openCoapClient } from "../node/open-client.js";
import type { CoapClient, CoapListenerHandle, RequestHandler } from "../types.js";

/** Of the machine. */
export const REAL_ENVIRONMENT: Environment = { clock: systemClock(), random: Math.random, logger: silentLogger };

/** A server on sockets of the system and a client, for as long as `run` takes. */
export async function withRealServer(
  uri: string,
  handler: RequestHandler,
  run: (client: CoapClient, listener: CoapListenerHandle) => Promise<void>,
): Promise<void> {
  const listener = await listenCoap({ env: REAL_ENVIRONMENT, handler }, { uri });
  const client = await openCoapClient({ env: REAL_ENVIRONMENT });
  try {
    await run(client, listener);
  } finally {
    await client.close();
    await listener.close();
  }
}
