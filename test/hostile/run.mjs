// npm run hostile -- --inputs 1000000 --seed N: attack with as many inputs; --seed N --input I: one of them again.
// --only NAME: one surface alone, which makes other inputs of the same seed.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createViteServer } from "vitest/node";

const USAGE =
  "usage: hostile [--inputs N] [--seed S] [--only SURFACE]   or   hostile --seed S --input I [--only SURFACE]\n";
const root = fileURLToPath(new URL("../..", import.meta.url));

function readNumber(text, name) {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  process.stderr.write(`--${name} takes a whole number\n${USAGE}`);
  process.exit(2);
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        inputs: { type: "string" },
        seed: { type: "string" },
        input: { type: "string" },
        only: { type: "string" },
      },
    });
    return {
      inputs: readNumber(values.inputs, "inputs") ?? 1_000_000,
      seed: readNumber(values.seed, "seed") ?? Date.now() % 1_000_000,
      input: readNumber(values.input, "input"),
      only: values.only,
    };
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

const { inputs, seed, input, only } = readArguments();
// The sources, as the tests run them.
const vite = await createViteServer({
  root,
  configFile: false,
  logLevel: "error",
  appType: "custom",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, ws: false, watch: null, hmr: false },
  resolve: {
    alias: [
      { find: /^@tributary\/([a-z-]+)$/, replacement: `${root}packages/$1/src/index.ts` },
      { find: "@tributary/coap-transport/testing", replacement: `${root}packages/coap-transport/src/testing/index.ts` },
    ],
  },
});
try {
  const { SURFACES } = await vite.ssrLoadModule("/test/hostile/surfaces.ts");
  const { describeReport, replay, runCampaign } = await vite.ssrLoadModule("/test/hostile/campaign.ts");
  const surfaces = SURFACES.filter(({ name }) => only === undefined || name === only);
  if (surfaces.length === 0) throw new Error(`--only takes one of: ${SURFACES.map(({ name }) => name).join(", ")}`);
  if (input !== undefined) process.stdout.write(`${await replay(surfaces, seed, input)}\n`);
  else {
    process.stdout.write(`${inputs} inputs, seed ${seed}\n`);
    const onProgress = (done) => process.stdout.isTTY && process.stdout.write(`\r${done}`);
    const report = await runCampaign(surfaces, { inputs, seed, onProgress });
    process.stdout.write(`${process.stdout.isTTY ? "\r" : ""}${describeReport(report)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error.name === "Finding" ? error.message : error.stack}\n`);
  process.exitCode = 1;
} finally {
  await vite.close();
}
