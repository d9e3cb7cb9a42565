import { afterAll, onTestFinished } from "vitest";

type Cleanup = () => void | Promise<void>;

/** Of what hooks such as `beforeAll` started: there is no test yet whose end could be waited for. */
const atEndOfFile: Cleanup[] = [];

afterAll(async () => {
  for (const cleanup of atEndOfFile.splice(0).reverse()) await cleanup();
});

/** Do this when the test ends, however it ends; outside a test, when the last test of the file has ended. */
export function atEnd(cleanup: Cleanup): void {
  try {
    onTestFinished(cleanup);
  } catch {
    atEndOfFile.push(cleanup);
  }
}
