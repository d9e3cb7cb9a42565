import { processIo } from "./process-io.js";
import { runCli } from "./program.js";

const status = await runCli(process.argv.slice(2), processIo());
// What is left running, such as a socket that no answer came to, holds nothing that is worth waiting for.
process.stdout.write("", () => process.exit(status));
