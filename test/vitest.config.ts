import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

/** `npm run test:unit`, the fast loop: fewer inputs for each property, one process for many files, without the longest. */
const isFast = process.env.FAST_TESTS !== undefined;
/** Files that `npm run test:unit` leaves out: one tries every byte, the other collects the garbage of a heap that it shares. */
const EXHAUSTIVE_UNIT_TESTS = [
  "packages/lmdb-store/src/damaged-bytes.test.ts",
  "packages/merge-engine/src/record-weight.test.ts",
];

/** Tests run on the sources: `@tributary/<name>` is `packages/<name>/src`. Real processes use the built packages. */
export default defineConfig({
  root,
  resolve: {
    alias: [
      { find: /^@tributary\/([a-z-]+)$/, replacement: `${root}packages/$1/src/index.ts` },
      { find: /^@tributary\/([a-z-]+)\/testing$/, replacement: `${root}packages/$1/src/testing/index.ts` },
      { find: /^@tributary\/global-lookup\/endpoint$/, replacement: `${root}packages/global-lookup/src/endpoint.ts` },
    ],
  },
  test: {
    reporters: ["default", fileURLToPath(new URL("harness/progress-reporter.ts", import.meta.url))],
    setupFiles: [
      ...(isFast ? [fileURLToPath(new URL("harness/few-property-runs.ts", import.meta.url))] : []),
      fileURLToPath(new URL("harness/property-seed.ts", import.meta.url)),
    ],
    // What another process does may take long on a busy machine; what never happens is found out all the same.
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        // Only a test that hangs takes so long: how fast it runs depends on what else the machine does.
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "packages/status-page/page/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...(isFast ? EXHAUSTIVE_UNIT_TESTS : [])],
          isolate: !isFast,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          // Time is virtual there: these run side by side with others.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        extends: true,
        test: {
          name: "system",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, "test/simulation/**"],
          // Longer than what a test waits for, which says what did not come.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
