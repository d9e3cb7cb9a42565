import { type ConfigResult, checkConfig } from "./check-configuration.js";
import { defaultConfig } from "./defaults.js";
import type { HostAddresses } from "./own-listeners.js";
import type { NodeConfig } from "./types.js";

/** Settings in the shape of the configuration file: the same keys, the same spelling of durations and sizes. */
export type ConfigDocument = Readonly<Record<string, unknown>>;

/** A configuration: YAML text, an object in the shape of the file, or one that `checkConfig` or `loadConfig` returned. */
export type ConfigInput = string | ConfigDocument | NodeConfig;

/** Members of every checked configuration. `httpNames` is not a key of the file. */
const CHECKED_MEMBERS = ["httpNames", "listen", "limits", "log", "amplification"] as const;

/**
 * Checks a configuration in any of its forms; undefined gives the default configuration. `file` is the file name in errors, and
 * relative paths are relative to its folder.
 */
export function readConfigInput(input: unknown, file: string, hostAddresses: HostAddresses): ConfigResult {
  if (input === undefined) return { ok: true, config: defaultConfig() };
  if (typeof input === "string") return checkConfig(input, file, hostAddresses);
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    const what = input === null ? "null" : Array.isArray(input) ? "an array" : `a ${typeof input}`;
    return wrongInput(file, `the configuration is ${what}; pass YAML text or an object with the keys of the file`);
  }
  if (isChecked(input)) return { ok: true, config: input };
  const text = toJson(input);
  return text === undefined
    ? wrongInput(
        file,
        "the configuration cannot be written as JSON; use text, numbers, true, false, arrays and objects",
      )
    : checkConfig(text, file, hostAddresses);
}

function isChecked(input: object): input is NodeConfig {
  return CHECKED_MEMBERS.every((name) => typeof Reflect.get(input, name) === "object");
}

/** JSON is YAML. */
function toJson(input: object): string | undefined {
  try {
    return JSON.stringify(input, null, 1);
  } catch {
    return undefined;
  }
}

function wrongInput(file: string, message: string): ConfigResult {
  return { ok: false, errors: [{ file, line: 1, column: 1, message }] };
}
