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
    projects: [
      { extends: true, test: { name: "unit", include: ["packages/*/src/**/*.test.ts"] } },
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
