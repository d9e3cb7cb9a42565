// An RD with so many registrations, filled through its store, as after a restart.
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { checkConfig, createNode, type NodeDeps, systemEnvironment, systemNetwork } from "@tributary/node";
import { oneWriter, type StoredRegistration } from "@tributary/resource-directory";
import { silentLogger } from "@tributary/runtime";
import { registrationOf } from "./workload.ts";

type Registrations = Awaited<ReturnType<NonNullable<NonNullable<NodeDeps["state"]>["openRegistrations"]>>>;

const count = Number(process.argv[2]);
const port = Number(process.argv[3] ?? 0) || (await freePort());
/** Answers remembered; absent: as many as by default. */
const answers = process.argv[4];

/** One that is free for TCP; that it is for UDP as well is likely enough. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: found } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return found;
}

/** A store that has them all and keeps nothing more. */
function filled(): Registrations {
  async function* load(): AsyncGenerator<StoredRegistration> {
    const nowMs = Date.now();
    for (let index = 0; index < count; index++) yield registrationOf(index, nowMs);
  }
  const table = { load, get: () => undefined, put: () => {}, delete: () => {}, close: async () => {} };
  const store = oneWriter(table, { epoch: 1 });
  const history = { counter: 0, horizon: 0, positions: [], keep: () => {}, forget: () => {} };
  return { store, history, rejected: new Map() };
}

const checked = checkConfig(
  JSON.stringify({
    name: "bench",
    listen: [`coap://127.0.0.1:${port}`, `coap+tcp://127.0.0.1:${port}`],
    http: false,
    registration: {},
    limits: {
      registrations: Math.max(1000, count * 2),
      ...(answers === undefined ? {} : { answers: Number(answers) }),
    },
  }),
  "bench.yaml",
);
if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("; "));
const env = systemEnvironment(silentLogger);
const { limits, amplification } = checked.config;
globalThis.gc?.();
const before = process.memoryUsage().rss;
const startMs = performance.now();
const node = await createNode(
  {
    env,
    network: systemNetwork(env, limits, amplification),
    nodeId: randomBytes(8).toString("hex"),
    state: { openRegistrations: async () => filled() },
  },
  checked.config,
);
const seconds = (performance.now() - startMs) / 1000;
globalThis.gc?.();
const bytesEach = count === 0 ? 0 : Math.round((process.memoryUsage().rss - before) / count);
process.stdout.write(`filled ${JSON.stringify({ seconds, bytesEach, rss: process.memoryUsage().rss })}\n`);
process.stdout.write(`port ${new URL(node.listening[0] ?? "").port}\n`);
process.once("SIGTERM", () => void node.close().then(() => process.exit(0)));
