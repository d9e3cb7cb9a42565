import { createServer } from "@tributary/coap-transport";
import { generateAnnouncerKey, nameKey, openHyperdhtPool, writeRecord } from "@tributary/global-lookup";
import { vi } from "vitest";
import { ENV } from "./environment.js";
import type { PoolPorts } from "./global-nodes.js";

/** Where a poisoner is, and what ends it. */
export interface PoisonerOptions {
  /** Its number among the poisoners. */
  readonly index?: number;
  readonly ports: PoolPorts;
  /** Gets what has to be done at the end. */
  readonly ends: (() => unknown)[];
}

/** Starts a member of the pool that announces names as an RD and responds with nonsense. */
export async function startPoisoner(names: readonly string[], { index = 0, ports, ends }: PoisonerOptions) {
  const address = `127.0.1.${100 + index}`;
  const key = generateAnnouncerKey();
  const pool = await openHyperdhtPool(
    { env: ENV, key },
    { listen: { host: address, port: ports.pool }, bootstrap: [{ host: "127.0.1.1", port: ports.pool }] },
  );
  ends.push(() => pool.close());
  let requests = 0;
  const server = createServer().get("/rd-lookup/ep", () => {
    requests++;
    return "nonsense";
  });
  const { uri, close } = await server.listen(`coap://${address}:${ports.coap}`);
  ends.push(() => close());
  const expiresAtS = Math.floor(ENV.clock.wallMs() / 1000) + 600;
  const record = writeRecord(key, { sequence: 1, expiresAtS, uris: [uri] });
  await vi.waitFor(() => pool.publish(record, 1), { timeout: 60_000, interval: 50 });
  for (const name of names) await pool.announce(nameKey(name));
  return { requests: () => requests };
}
