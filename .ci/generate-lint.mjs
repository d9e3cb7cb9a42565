// Writes the rules of .biome.json that say which package may import what, from the ordered list in packages.mjs.
// With --check: ends with status 1 when the file is not what would be written.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { forbiddenImports, PACKAGES } from "./packages.mjs";

const file = fileURLToPath(new URL("../.biome.json", import.meta.url));
const PURE = "This package is pure: time and randomness are arguments, and there is no I/O.";
const PURE_GLOBALS = [
  "Date",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "process",
  "Buffer",
  "console",
  "crypto",
];

const config = JSON.parse(readFileSync(file, "utf8"));
const isGenerated = ({ includes }) => includes.length === 1 && /^packages\/[a-z-]+\/src\/\*\*$/.test(includes[0]);
const others = config.overrides.filter((override) => !isGenerated(override));
const overrides = [...PACKAGES.map((_, index) => rulesOf(index)), ...others];
const text = `${JSON.stringify({ ...config, overrides }, null, 2)}\n`;

if (!process.argv.includes("--check")) writeFileSync(file, text);
else if (JSON.stringify(JSON.parse(text)) !== JSON.stringify(config)) {
  console.error(".biome.json is not what .ci/packages.mjs says; run: node .ci/generate-lint.mjs && npm run format");
  process.exit(1);
}

function rulesOf(index) {
  const { name, isPure = false } = PACKAGES[index];
  const upward = {
    group: [...forbiddenImports(index), "../../*"],
    message: "Imports go downward only: see .ci/packages.mjs.",
  };
  const world = { group: ["node:*", "winston", "coap"], message: PURE };
  const noRestrictedImports = { level: "error", options: { patterns: isPure ? [upward, world] : [upward] } };
  const deniedGlobals = Object.fromEntries(PURE_GLOBALS.map((global) => [global, PURE]));
  const noRestrictedGlobals = { level: "error", options: { deniedGlobals } };
  const style = isPure ? { noRestrictedImports, noRestrictedGlobals } : { noRestrictedImports };
  return { includes: [`packages/${name}/src/**`], linter: { rules: { style } } };
}
