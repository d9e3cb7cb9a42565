// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of variables is the subject
import { describe, expect, test } from "vitest";
import { checkConfig } from "./check-configuration.js";
import { replaceVariables } from "./environment-values.js";

const VARIABLES: ReadonlyMap<string, string> = new Map([
  ["SITE", "site-1"],
  ["PORT", "5690"],
  ["EMPTY", ""],
  ["TRICK", "${SITE}: [x] # not read"],
]);
const variables = (name: string) => VARIABLES.get(name);

describe("environment variables in values", () => {
  test.each([
    ["plain $5 and }", "plain $5 and }"],
    ["${SITE}", "site-1"],
    ["a-${SITE}-${PORT}", "a-site-1-5690"],
    ["${NOTHING:-fallback}", "fallback"],
    ["${EMPTY:-fallback}", "fallback"],
    ["${SITE:-fallback}", "site-1"],
    ["${NOTHING:-}", ""],
    ["$${SITE}", "${SITE}"],
    // What a variable holds is text, and is not looked through again.
    ["${TRICK}", "${SITE}: [x] # not read"],
  ])("%j is %j", (source, text) => {
    expect(replaceVariables(source, variables)).toEqual({ ok: true, text });
  });

  test.each(["${", "${}", "${1}", "${SITE", "${a b}", "${SITE:default}"])("%j is no variable", (source) => {
    expect(replaceVariables(source, variables)).toMatchObject({
      ok: false,
      message: expect.stringContaining("write ${NAME}"),
    });
  });

  test("in a configuration: any value, never a key, with the type that it would have if it were written there", () => {
    const text = 'name: ${SITE}\nlisten: ["coap://[::1]:${PORT}"]\nhttp: ${HTTP:-false}\nregistration: {}\n';
    expect(checkConfig(text, "a.yaml", undefined, variables)).toMatchObject({
      ok: true,
      config: { name: "site-1", listen: ["coap://[::1]:5690"], http: null },
    });
    const wrong =
      "name: ${GONE}\n${SITE}: 1\nregistration: {}\nlimits:\n  exchanges: ${SITE}\n  registrations: ${PORT}\n";
    const result = checkConfig(wrong, "a.yaml", undefined, variables);
    expect(result.ok ? [] : result.errors.map(({ line, column, message }) => `${line}:${column}: ${message}`)).toEqual([
      "1:7: the environment variable GONE is not set; set it, or write ${GONE:-default}",
      expect.stringMatching(/^2:1: unknown key "\$\{SITE\}"/),
      expect.stringMatching(/^5:14: exchanges is "site-1"/),
    ]);
  });

  test("a program that embeds a node passes what it means: nothing is replaced without variables", () => {
    expect(checkConfig("name: ${SITE}\nregistration: {}\n", "a.yaml")).toMatchObject({ ok: false });
  });
});
