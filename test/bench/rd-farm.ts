// Several small RDs in one process: upstreams for fan-out.
import { checkConfig, createNode, systemEnvironment, systemNetwork } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";

const count = Number(process.argv[2]);
const registrations = Number(process.argv[3]);
const ports: string[] = [];
for (let index = 0; index < count; index++) {
  const checked = checkConfig('{ "listen": ["coap://127.0.0.1:0"], "http": false, "registration": {} }', "bench.yaml");
  if (!checked.ok) throw new Error("the configuration of the benchmark is wrong");
  const env = systemEnvironment(silentLogger);
  const { limits, amplification } = checked.config;
  const nodeId = index.toString(16).padStart(16, "0");
  const node = await createNode({ env, network: systemNetwork(env, limits, amplification), nodeId }, checked.config);
  const { directory } = node;
  for (let one = 0; one < registrations; one++) {
    const ep = `node-${index}-${one}`;
    const nowMs = env.clock.nowMs();
    directory.put(
      "local",
      {
        href: `/reg/${one}`,
        ep,
        base: `coap://${ep}.example`,
        attributes: [],
        links: [{ target: `coap://${ep}.example/t`, attributes: [["rt", `model-${one}`]] }],
        ltMs: 90_000_000,
        renewedAtMs: nowMs,
        expiresAtMs: nowMs + 90_000_000,
        expiry: "exact",
      },
      nowMs,
    );
  }
  ports.push(new URL(node.listening[0] ?? "").port);
}
process.stdout.write(`ports ${ports.join(",")}\n`);
process.stdout.write(`port ${ports[0]}\n`);
process.once("SIGTERM", () => process.exit(0));
