// A node with many registrations of its own and whatever else its configuration says: arguments are the configuration as JSON, the
// number of registrations, and their age in seconds.
import { checkConfig, createNode, systemEnvironment, systemNetwork } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";

const [, , configText = "", count = "0", ageS = "0"] = process.argv;
const checked = checkConfig(configText, "large-node.yaml");
if (!checked.ok) throw new Error(JSON.stringify(checked));
const env = systemEnvironment(silentLogger);
const { limits, amplification } = checked.config;
const nodeId = process.pid.toString(16).padStart(16, "0");
const node = await createNode({ env, network: systemNetwork(env, limits, amplification), nodeId }, checked.config);
const nowMs = env.clock.nowMs();
const renewedAtMs = nowMs - 1000 * Number(ageS);
for (let at = 0; at < Number(count); at++) {
  const ep = `node-${String(at).padStart(6, "0")}`;
  node.directory.put(
    "local",
    {
      href: `/reg/${at}`,
      ep,
      base: `coap://${ep}.example`,
      attributes: [
        ["half", String(at % 2)],
        ["eighth", String(at % 8)],
        ["place", at < 1000 || at === Number(count) - 1 ? "ends" : "middle"],
      ],
      links: [{ target: `coap://${ep}.example/t`, attributes: [["rt", `model-${at}`]] }],
      ltMs: 90_000_000,
      renewedAtMs,
      expiresAtMs: renewedAtMs + 90_000_000,
      expiry: "exact",
    },
    nowMs,
  );
}
process.stdout.write(`listening ${node.listening.join(",")}\n`);
process.stdout.write(`port ${new URL(node.listening[0] ?? "").port}\n`);
process.once("SIGTERM", () => process.exit(0));

/** The parent process waits for what this one copies. */
let reported = -1;
setInterval(() => {
  const { total } = node.directory.counts();
  if (total !== reported) process.stdout.write(`total ${total}\n`);
  reported = total;
}, 500).unref();
