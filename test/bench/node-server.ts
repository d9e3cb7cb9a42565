// A node of any configuration, given as JSON. Says when every upstream is live, and what that took.
import { randomBytes } from "node:crypto";
import { checkConfig, createNode, systemEnvironment, systemNetwork, systemState } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";

const checked = checkConfig(
  JSON.stringify({ name: "bench", http: false, ...JSON.parse(process.argv[2] ?? "{}") }),
  "bench.yaml",
);
if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("; "));
const { config } = checked;
const env = systemEnvironment(silentLogger);
const startMs = performance.now();
const node = await createNode(
  {
    env,
    network: systemNetwork(env, config.limits, config.amplification),
    nodeId: randomBytes(8).toString("hex"),
    state: systemState(env, config),
  },
  config,
);
process.once("SIGTERM", () => void node.close().then(() => process.exit(0)));
const timer = setInterval(() => {
  const upstreams = node.upstreams();
  if (!upstreams.every(({ phase }) => phase === "live")) return;
  clearInterval(timer);
  const bytes = upstreams.reduce((sum, { feedBytes }) => sum + feedBytes, 0);
  const { total } = node.directory.counts();
  process.stdout.write(`live ${JSON.stringify({ ms: performance.now() - startMs, bytes, registrations: total })}\n`);
}, 2);
process.stdout.write(`started ${performance.now() - startMs}\n`);
process.stdout.write(`port ${new URL(node.listening[0] ?? "").port}\n`);
