import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkConfig, configJsonSchema } from "@tributary/node";
import { Ajv2020 } from "ajv/dist/2020.js";
import { load } from "js-yaml";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const matches = new Ajv2020({ strict: false, allErrors: true }).compile(configJsonSchema());

const isConfiguration = (path: string): boolean =>
  !/compose\.yaml|prometheus|grafana|monitoring|kubernetes\/(?!.*site\.yaml)/.test(path);
const RIGHT = globSync(["deploy/**/*.yaml", "test/config/good/*.yaml"], { cwd: ROOT }).filter(isConfiguration);
const BROKEN = globSync("test/config/broken/*.yaml", { cwd: ROOT });

/** The value of a file; undefined where it is not YAML. */
function parsed(path: string): unknown {
  try {
    return load(readFileSync(join(ROOT, path), "utf8"));
  } catch {
    return undefined;
  }
}

describe("the JSON Schema of configurations", () => {
  test.each(RIGHT)("accepts %s", (path) => {
    expect(matches(parsed(path)), JSON.stringify(matches.errors)).toBe(true);
  });

  /** Mistakes that such a schema can describe: keys, kinds of values, numbers beyond their range, words. */
  const describable =
    /unknown key|write (?:a whole number|true or false|its settings|a list)|write (?:\w+, )*\w+ or \w+$/;

  test.each(BROKEN)("refuses %s, if it has a mistake that can be described", (path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    const checked = checkConfig(text, basename(path));
    const errors = checked.ok ? [] : checked.errors.map(({ message }) => message);
    const value = parsed(path);
    if (value === undefined || !errors.some((message) => describable.test(message))) return;
    expect(matches(value), errors.join("\n")).toBe(false);
  });

  test("there are files of both kinds", () => {
    expect(RIGHT.length).toBeGreaterThan(15);
    expect(BROKEN.filter((path) => parsed(path) !== undefined && !matches(parsed(path))).length).toBeGreaterThan(20);
  });
});
