import type { Command, Option } from "commander";

/** A command as references show it. */
export interface CommandText {
  /** With those above it and its arguments: `store export <file>`. */
  readonly usage: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  /** Those that say something besides their name. */
  readonly arguments: readonly { readonly name: string; readonly text: string }[];
  readonly options: readonly { readonly flags: string; readonly text: string }[];
}

/** Meaning of exit statuses that all commands share; others are in the text of their command. */
export const EXIT_STATUSES: readonly (readonly [status: string, meaning: string])[] = [
  ["0", "Done."],
  ["1", "Failed: what was asked is not there, or a server did not answer."],
  ["2", "The command line or the configuration is wrong; what would be right is on stderr."],
  ["3", "Of diff: a server does not answer, so nothing was compared."],
];

/** The commands of a program that do something, those without commands of their own, without what is hidden. Pure. */
export function commandTexts(program: Command): CommandText[] {
  return leaves(program).map((command) => ({
    usage: usageOf(command, program),
    description: command.description().split("\n\n"),
    arguments: command.registeredArguments.flatMap((one) =>
      one.description === "" ? [] : [{ name: one.name(), text: one.description }],
    ),
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map((option) => ({ flags: option.flags, text: optionText(option) })),
  }));
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function usageOf(command: Command, program: Command): string {
  const words = [command.name()];
  for (let above = command.parent; above !== null && above !== program; above = above.parent)
    words.unshift(above.name());
  const args = command.registeredArguments.map((one) => {
    const shown = one.variadic ? `${one.name()}...` : one.name();
    return one.required ? shown : `[${shown}]`;
  });
  return [...words, ...args].join(" ");
}

function optionText({ description, defaultValue }: Option): string {
  const shown = Array.isArray(defaultValue) && defaultValue.length === 0 ? undefined : defaultValue;
  const hasOwn = shown === undefined || description.includes("(default") || typeof shown === "boolean";
  return hasOwn ? sentence(description) : sentence(`${description} (default: ${String(shown)})`);
}

/** What begins with a value, such as a scheme, stays as it is. */
function sentence(description: string): string {
  const isWord = /^[a-z]+(?:[\s,;]|$)/.test(description);
  const first = isWord ? description.charAt(0).toUpperCase() + description.slice(1) : description;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
