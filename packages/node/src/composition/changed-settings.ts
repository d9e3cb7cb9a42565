import type { NodeConfig } from "../configuration/types.js";

/** What a running node applies: credentials, besides the upstreams. */
const APPLIED: ReadonlySet<string> = new Set(["tls"]);

/** Returns the top-level keys of the settings that differ and that a running node does not apply. Pure. */
export function changedSettings(before: NodeConfig, after: NodeConfig): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof NodeConfig>;
  return [...names]
    .filter((name) => !APPLIED.has(name))
    .filter((name) => JSON.stringify(comparable(before, name)) !== JSON.stringify(comparable(after, name)))
    .map(keyInFile);
}

/** `httpNames` is `http-names` in the file. */
function keyInFile(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function comparable(config: NodeConfig, name: keyof NodeConfig): unknown {
  return name === "lookup" && config.lookup !== undefined ? { ...config.lookup, upstreams: null } : config[name];
}
