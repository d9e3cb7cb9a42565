import { silentLogger } from "@tributary/runtime";
import { expect, test } from "vitest";
import { NodeError } from "./errors.js";
import { type StartOptions, startNode } from "./start-node.js";

test.each([
  { name: "null", config: null, says: "the configuration is null" },
  { name: "a number", config: 7, says: "the configuration is a number" },
  { name: "an array", config: [], says: "the configuration is an array" },
  { name: "a function", config: () => {}, says: "the configuration is a function" },
  { name: "a key that does not exist", config: { registrations: {} }, says: 'did you mean "registration"?' },
  { name: "a member of a checked configuration", config: { httpNames: [] }, says: 'did you mean "http-names"?' },
  { name: "a big integer", config: { registration: {}, lookup: { timeout: 1n } }, says: "cannot be written as JSON" },
  { name: "text that is not YAML", config: "registration: {", says: "config:1:" },
  { name: "the empty text", config: "", says: "config:1:1: the file is empty" },
])("refuses $name with an error of ours", async ({ config, says }) => {
  const error = await startNode(config as never, { logger: silentLogger }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NodeError);
  expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(says) });
  expect((error as NodeError).errors).not.toEqual([]);
});

test.each([
  { name: "null", options: null },
  { name: "a text", options: "quiet" },
  { name: "a logger without methods", options: { logger: {} } },
  { name: "a file that is a number", options: { file: 1 } },
  { name: "processMetrics that is a text", options: { processMetrics: "yes" } },
])("refuses options: $name", async ({ options }) => {
  const started = startNode("registration: {}", options as unknown as StartOptions);
  await expect(started).rejects.toMatchObject({ name: "NodeError", code: "BAD_ARGUMENT" });
});
