// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of variables is the subject
/** Returns the value of an environment variable; undefined: it is not set. */
export type EnvironmentVariables = (name: string) => string | undefined;

/** A value with its variables replaced, or what is wrong. */
export type ReplacedVariables =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string };

/** Matches `${NAME}`, `${NAME:-default}`, the escape `$${`, and the beginning of what is none of them. */
const VARIABLE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/**
 * Replaces `${NAME}` by the value of an environment variable, and `${NAME:-default}` by the default where that is unset or empty, as
 * shells do; `$${` stands for `${`. A single `$` means nothing. Pure.
 */
export function replaceVariables(source: string, variables: EnvironmentVariables): ReplacedVariables {
  const problems: string[] = [];
  const text = source.replace(VARIABLE, (match, name: string | undefined, fallback: string | undefined) => {
    if (match === "$${") return "${";
    if (name === undefined) {
      problems.push(
        "${ begins no name of a variable; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves",
      );
      return "";
    }
    const value = variables(name);
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined)
      problems.push(`the environment variable ${name} is not set; set it, or write \${${name}:-default}`);
    return value ?? "";
  });
  const [message] = problems;
  return message === undefined ? { ok: true, text } : { ok: false, message };
}
