import { vi } from "vitest";

/** Inputs that are tried out for each property: a share of those of the gate, of the same seed. */
const SHARE = 0.05;
const FEWEST = 5;

// In the fast loop alone: a property is cut short by its number of runs, which is the same on a busy machine.
vi.mock("fast-check", async (importOriginal) => {
  const original = await importOriginal<typeof import("fast-check")>();
  const fewer = (parameters: { numRuns?: number } = {}) => {
    const { numRuns = 100 } = parameters;
    return { ...parameters, numRuns: Math.min(numRuns, Math.max(FEWEST, Math.ceil(numRuns * SHARE))) };
  };
  const assert = (property: Parameters<typeof original.assert>[0], parameters?: { numRuns?: number }) =>
    original.assert(property, fewer(parameters));
  return { ...original, assert, default: { ...original.default, assert } };
});
