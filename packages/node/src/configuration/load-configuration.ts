import { readFileSync, statSync } from "node:fs";
import { readCredentials } from "../credentials/read-credentials.js";
import { type ConfigResult, checkConfig, locate } from "./check-configuration.js";
import { defaultConfig } from "./defaults.js";
import { type HostAddresses, systemHostAddresses } from "./own-listeners.js";

/** Largest configuration file, bytes. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

const READ_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file; check the path after -c",
  ENOTDIR: "there is no such file; check the path after -c",
  EISDIR: "it is a directory; give the path of a file",
  EACCES: "no permission; allow this user to read it",
  EPERM: "no permission; allow this user to read it",
};

/**
 * Reads and checks a configuration file with the environment variables that it uses, and the certificates and keys that it names. Without a path, returns the default configuration. Every problem, even an unreadable file,
 * is returned as an error with a position.
 */
export function loadConfig(path?: string, hostAddresses: HostAddresses = systemHostAddresses): ConfigResult {
  if (path === undefined) return { ok: true, config: defaultConfig() };
  let bytes: Buffer;
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) return unreadable(path, `the file has ${size} bytes; write at most ${MAX_FILE_BYTES}`);
    bytes = readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    return unreadable(path, `the file cannot be read: ${READ_PROBLEMS[code] ?? `${String(error)}; check the file`}`);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return checkFiles(
      checkConfig(text, path, hostAddresses, (name) => process.env[name]),
      text,
      path,
    );
  } catch (error) {
    if (!(error instanceof TypeError) || (error as NodeJS.ErrnoException).code !== "ERR_ENCODING_INVALID_ENCODED_DATA")
      throw error;
    return unreadable(path, "the file is not UTF-8; save it in that encoding");
  }
}

/** The files with certificates and keys that a configuration names are as they have to be. */
function checkFiles(result: ConfigResult, text: string, path: string): ConfigResult {
  if (!result.ok) return result;
  const read = readCredentials(result.config);
  return read.ok ? result : { ok: false, errors: locate(text, path, read.problems) };
}

function unreadable(file: string, message: string): ConfigResult {
  return { ok: false, errors: [{ file, line: 1, column: 1, message }] };
}
