// run-pinned TOOL ARGS…: run a tool of node_modules/.bin with the Node that this project pins, first on PATH.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../node_modules/.bin", import.meta.url));
const [tool, ...args] = process.argv.slice(2);
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` };
const child = spawn(join(bin, tool), args, { stdio: "inherit", env });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`cannot run ${tool}: ${error.message}. Run \`npm run build\` first.`);
  process.exit(1);
});
child.on("close", (status, signal) => process.exit(status ?? 128 + (constants.signals[signal] ?? 0)));
