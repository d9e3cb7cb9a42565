import { processIo } from "./process-io.js";
import { runCli } from "./program.js";

const status = await runCli(process.argv.slice(2), processIo());
// Nothing that may still be running, such as an open socket, is worth waiting for.
process.stdout.write("", () => process.exit(status));
