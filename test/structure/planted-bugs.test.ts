import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PLANTED_BUGS } from "../simulation/planted-bugs.js";

const PACKAGES = new URL("../../packages/", import.meta.url);

test.each(PLANTED_BUGS)("the place of a mistake that the simulation has to notice is in the sources: $name", (bug) => {
  const parts = readFileSync(new URL(bug.file, PACKAGES), "utf8").split(bug.find);
  expect(parts).toHaveLength(2);
  expect(bug.replace).not.toContain(bug.find);
});
