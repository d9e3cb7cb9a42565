import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Tests run on the sources: `@tributary/<name>` is `packages/<name>/src`. Real processes use the built packages. */
export default defineConfig({
  root,
  resolve: {
    alias: [
      { find: /^@tributary\/([a-z-]+)$/, replacement: `${root}packages/$1/src/index.ts` },
      { find: "@tributary/coap-transport/testing", replacement: `${root}packages/coap-transport/src/testing/index.ts` },
    ],
  },
  test: {
    setupFiles: [fileURLToPath(new URL("harness/property-seed.ts", import.meta.url))],
    // What another process does may take long on a busy machine; what never happens is found out all the same.
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        // Only a test that hangs takes so long: how fast it runs depends on what else the machine does.
        test: { name: "unit", include: ["packages/*/src/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
      },
      {
        extends: true,
        test: {
          name: "system",
          include: ["test/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
