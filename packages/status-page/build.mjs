// Builds the page into dist/page. Does nothing while what it is built from is unchanged; `--force` builds in any case.
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const folder = fileURLToPath(new URL(".", import.meta.url));
const output = join(folder, "dist/page");
const stampFile = join(folder, "dist/.page-stamp");

if (process.argv.includes("--force") || !isCurrent()) {
  await build({
    root: join(folder, "page"),
    // Relative, so that the page also works behind a reverse proxy that serves it below a path.
    base: "./",
    configFile: false,
    logLevel: "warn",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: output,
      emptyOutDir: true,
      target: "es2022",
      modulePreload: false,
      cssCodeSplit: false,
      assetsInlineLimit: 0,
      // The notices of what the bundle contains (MIT licence).
      license: { fileName: "third-party.md" },
      rolldownOptions: {
        output: { entryFileNames: "status-page/app.js", assetFileNames: "status-page/app.[ext]", codeSplitting: false },
      },
    },
  });
  writeFileSync(stampFile, stamp());
}

function isCurrent() {
  const hasOutput = existsSync(join(output, "index.html"));
  return hasOutput && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp();
}

function stamp() {
  const hash = createHash("sha256");
  const isSource = (path) => statSync(join(folder, path)).isFile() && !path.endsWith(".test.ts");
  const sources = globSync("page/**", { cwd: folder }).filter(isSource);
  for (const path of ["build.mjs", "package.json", ...sources.sort()])
    hash.update(`${path}\n`).update(readFileSync(join(folder, path)));
  return hash.digest("hex");
}
