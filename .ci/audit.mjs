// npm run audit: known vulnerabilities of all dependencies, as the registry knows them today; also of those for development,
// some of which the status page bundles. Ends with 1 when there are any, and with 2 when the registry did not say.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [, PNPM] = /"(pnpm@[\d.]+)"/.exec(readFileSync(join(root, ".ci/bootstrap.mjs"), "utf8"));

// `npm run --silent` would silence pnpm as well.
const { npm_config_loglevel: _, ...env } = process.env;
const audit = ["--yes", PNPM, "audit"];
const { stdout, stderr, status } = spawnSync("npx", audit, { cwd: root, env, encoding: "utf8" });
const output = `${stdout ?? ""}${stderr ?? ""}`.trim();
// Every audit ends with how many there are, or that none are known.
if (/vulnerabilities found/.test(output)) {
  console.log(output);
  process.exit(status);
}
console.error(`not audited: no result came from the registry\n${output}`);
process.exit(2);
