// run-pinned TOOL ARGS…: run a tool of node_modules/.bin with the Node that this project pins first on PATH.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../node_modules/.bin", import.meta.url));
const [tool, ...args] = process.argv.slice(2);
if (tool === undefined || !existsSync(join(bin, tool))) {
  console.error(tool === undefined ? "usage: run-pinned TOOL ARGS…" : `no ${tool} here: run \`npm run build\` first`);
  process.exit(127);
}

const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` };
const child = spawn(join(bin, tool), args, { stdio: "inherit", env });

// A terminal sends its interrupt to every process in the foreground. A tool that got a second one from here would take it
// for impatience and break off instead of closing in good order.
const isAtTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
process.on("SIGINT", () => isAtTerminal || child.kill("SIGINT"));
process.on("SIGTERM", () => child.kill("SIGTERM"));
// `tributary serve` reads its configuration again on SIGHUP, and would outlive a terminal that was closed.
process.on("SIGHUP", () => child.kill(isAtTerminal && !terminalIsThere() ? "SIGTERM" : "SIGHUP"));

function terminalIsThere() {
  try {
    closeSync(openSync("/dev/tty"));
    return true;
  } catch {
    return false;
  }
}

child.on("error", (error) => {
  console.error(`cannot run ${tool}: ${error.message}`);
  process.exit(126);
});
child.on("close", (status, signal) => process.exit(status ?? 128 + (constants.signals[signal] ?? 0)));
