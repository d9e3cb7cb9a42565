import { readFileSync } from "node:fs";
import { type ConfigResult, locate } from "../configuration/check-configuration.js";
import { loadConfig } from "../configuration/load-configuration.js";
import type { NodeConfig } from "../configuration/types.js";
import type { FileProblem } from "../credentials/types.js";

/** Contexts that a message names, at most. */
const SHOWN = 5;

/** `loadConfig`, and the folder of security contexts that the configuration names is as it has to be. Nothing in it is changed. */
export async function loadConfigAndContexts(path?: string): Promise<ConfigResult> {
  const result = loadConfig(path);
  if (!result.ok || path === undefined) return result;
  const problems = await contextProblems(result.config);
  return problems.length === 0 ? result : { ok: false, errors: locate(readFileSync(path, "utf8"), path, problems) };
}

/** Returns what is wrong with the folder of security contexts, and with the names of contexts in it. Nothing is changed. */
export async function contextProblems({
  oscore,
  lookup,
}: Pick<NodeConfig, "oscore" | "lookup">): Promise<FileProblem[]> {
  if (oscore === undefined) return [];
  const { checkContextFolder, OscoreError } = await import("@tributary/oscore");
  let names: ReadonlySet<string>;
  try {
    names = new Set(checkContextFolder(oscore.contexts));
  } catch (error) {
    if (!(error instanceof OscoreError)) throw error;
    return [{ path: ["oscore", "contexts"], message: error.message }];
  }
  const some = [...names].slice(0, SHOWN).join(", ");
  const known = names.size > SHOWN ? `${some}, …` : some;
  return (lookup?.upstreams ?? []).flatMap(({ oscore: name }, index) =>
    name === undefined || names.has(name)
      ? []
      : [
          {
            path: ["lookup", "upstreams", index, "oscore"],
            message: `${oscore.contexts} has no context ${name}; write one of ${known}`,
          },
        ],
  );
}
