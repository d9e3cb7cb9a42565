/**
 * Command line of the simulation. It runs on the sources:
 *
 *     npm run simulate -- --seeds 200              # seeds 1 to 200
 *     npm run simulate -- --seeds 200 --from 5000 --full
 *     npm run simulate -- --seed 17                # one seed, with everything that happened
 *
 * `--full`: 3 to 5 RDs, 2 to 4 LPs, up to 200 endpoints. `--tcp`: CoAP over TCP. `--shared`: instances that share one directory. `--plant NAME`: with a mistake of `planted-bugs.ts` in the sources.
 * Exit status 1 when a seed fails.
 */
import { registerHooks } from "node:module";
import { parseArgs } from "node:util";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { SHARED_BUGS } from "./shared/planted-bugs.ts";

const PACKAGES = new URL("../../packages/", import.meta.url).href;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    plant: { type: "string" },
    "stop-at-first": { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    tcp: { type: "boolean", default: false },
    shared: { type: "boolean", default: false },
  },
});
if (values.plant !== undefined) {
  const bug = [...PLANTED_BUGS, ...SHARED_BUGS].find(({ name }) => name === values.plant);
  if (bug === undefined) throw new Error(`no mistake is called "${values.plant}"`);
  let isPlanted = false;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== `${PACKAGES}${bug.file}`) return loaded;
      const source = String(loaded.source);
      if (!source.includes(bug.find)) throw new Error(`${bug.file} has no "${bug.find}" any more`);
      isPlanted = true;
      return { ...loaded, source: source.replace(bug.find, () => bug.replace) };
    },
  });
  process.on("exit", () => {
    if (!isPlanted) throw new Error(`${bug.file} was not loaded`);
  });
}

registerHooks({
  resolve(specifier, context, nextResolve) {
    const name = /^@tributary\/([a-z-]+)(\/testing)?$/.exec(specifier);
    if (name !== null) return nextResolve(`${PACKAGES}${name[1]}/src${name[2] ?? ""}/index.ts`, context);
    const isSource = context.parentURL?.startsWith(PACKAGES) === true && !context.parentURL.includes("/node_modules/");
    if (isSource && /^\.{1,2}\/.*\.js$/.test(specifier)) return nextResolve(specifier.replace(/\.js$/, ".ts"), context);
    return nextResolve(specifier, context);
  },
});

const { simulate } = await import("./run.ts");
const { simulateShared } = await import("./shared/run.ts");
const { FULL, SMALL } = await import("./scenario.ts");

const options = { size: values.full ? FULL : SMALL, scheme: values.tcp ? "coap+tcp" : "coap" } as const;
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const failed: number[] = [];
const startedMs = performance.now();
let checks = 0;
for (let seed = first; seed < first + count; seed++) {
  const outcome = await (values.shared ? simulateShared(seed) : simulate(seed, options));
  checks += outcome.checks;
  if (values.seed !== undefined) process.stdout.write(`${outcome.trace.join("\n")}\n`);
  if (outcome.violations.length === 0) continue;
  failed.push(seed);
  process.stdout.write(`seed ${seed}: ${outcome.violations.length} violations, first: ${outcome.violations[0]}\n`);
  if (values["stop-at-first"]) break;
}
const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
process.stdout.write(`${count} seeds, ${checks} answers checked, ${failed.length} failed in ${tookS} s\n`);
if (failed.length > 0) process.exitCode = 1;
