import { dirname, resolve } from "node:path";
import type * as z from "zod";
import { crossCheck } from "./cross-checks.js";
import { completeConfig } from "./defaults.js";
import type { EnvironmentVariables } from "./environment-values.js";
import type { ConfigError } from "./errors.js";
import { AS_WRITTEN } from "./field-parsers.js";
import { nearestKey } from "./nearest-key.js";
import type { HostAddresses } from "./own-listeners.js";
import { type CheckedFile, configSchema, KEYS_BY_PLACE } from "./schema.js";
import { offsetOfKey, offsetOfValue, positionAt, type ValuePath } from "./source-position.js";
import type { NodeConfig } from "./types.js";
import { readYaml, toPlain, type YamlNode } from "./yaml-document.js";

/** Returns the mistakes of values at these places in a text that was checked: what only the files show that it names. */
export function locate(
  text: string,
  file: string,
  issues: readonly { path: ValuePath; message: string }[],
): ConfigError[] {
  const source = text.startsWith("\ufeff") ? text.slice(1) : text;
  const { root } = readYaml(source);
  const findings = issues.map(({ path, message }) => ({
    offset: root === null ? 0 : offsetOfValue(root, path),
    message,
  }));
  return sorted(findings).map(({ offset, message }) => ({ file, ...positionAt(source, offset), message }));
}

/** A checked configuration, or everything that is wrong with it. */
export type ConfigResult =
  | { readonly ok: true; readonly config: NodeConfig }
  | { readonly ok: false; readonly errors: readonly ConfigError[] };

interface Finding {
  readonly offset: number;
  readonly message: string;
}

/**
 * Checks the text of a configuration file and fills in every default. Reports all errors at once, in the order of the text. `file` is
 * their file name, and relative paths in the text are relative to its folder. With a listener on all addresses, `hostAddresses`
 * tells which upstreams are this node itself. With `variables`, values may contain environment variables. Nothing is read or opened.
 */
export function checkConfig(
  text: string,
  file: string,
  hostAddresses: HostAddresses = () => [],
  variables?: EnvironmentVariables,
): ConfigResult {
  const source = text.startsWith("\ufeff") ? text.slice(1) : text;
  const { root, problems } = readYaml(source, variables);
  const findings: Finding[] = [...problems];
  let checked: CheckedFile | undefined;
  if (root !== null) {
    const plain = toPlain(root, isOperatorsOwn);
    const result = configSchema.safeParse(plain);
    checked = result.data;
    const issues = (result.error?.issues ?? []).flatMap((issue) => describe(issue, root, source));
    issues.push(
      ...crossCheck(plain, hostAddresses).map(({ path, message }) => ({ offset: offsetOfValue(root, path), message })),
    );
    // A syntax error is reported once.
    findings.push(...issues.filter(({ offset }) => !problems.some((problem) => problem.offset === offset)));
  } else if (problems.length === 0) {
    findings.push({
      offset: 0,
      message: 'the file is empty; write at least "registration: {}", or start without a file',
    });
  }
  if (findings.length === 0 && checked !== undefined)
    return { ok: true, config: completeConfig(checked, dirname(resolve(file))) };
  return {
    ok: false,
    errors: sorted(findings).map(({ offset, message }) => ({ file, ...positionAt(source, offset), message })),
  };
}

/**
 * Keys that begin with `x-` mean nothing to this program: notes of the operator, and values that are used elsewhere by an alias. The
 * keys of `psk` are identities, whatever they begin with.
 */
function isOperatorsOwn(key: string, parent: string): boolean {
  return key.startsWith("x-") && parent !== "psk";
}

function describe(issue: z.core.$ZodIssue, root: YamlNode, source: string): Finding[] {
  const path = issue.path.filter((step): step is string | number => typeof step !== "symbol");
  if (issue.code !== "unrecognized_keys") {
    const offset = offsetOfValue(root, path);
    return [{ offset, message: issue.message.replaceAll(AS_WRITTEN, () => plainScalarAt(source, offset)) }];
  }
  return issue.keys.map((key) => ({ offset: offsetOfKey(root, path, key), message: unknownKey(key, path) }));
}

/** Returns an unquoted value as it is written; YAML may have converted it to another type. */
function plainScalarAt(source: string, offset: number): string {
  return /^(?:[^\s,[\]{}#]|(?<=\S)#)*/.exec(source.slice(offset))?.[0] ?? "";
}

function unknownKey(key: string, path: ValuePath): string {
  const place = path.filter((step) => typeof step === "string").join(".");
  const known = KEYS_BY_PLACE.get(place) ?? [];
  const what = `unknown key "${key}"${place === "" ? "" : ` in ${place}`}`;
  const nearest = nearestKey(key, known);
  if (nearest !== undefined) return `${what}; did you mean "${nearest}"?`;
  const home = [...KEYS_BY_PLACE].find(([, keys]) => keys.includes(key))?.[0];
  if (home !== undefined) return `${what}; it belongs ${home === "" ? "at the top level" : `under ${home}`}`;
  return `${what}; valid keys are ${known.join(", ")}`;
}

function sorted(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((one, other) => one.offset - other.offset || (one.message < other.message ? -1 : 1));
}
