import type { Command, Option } from "commander";

/** Meaning of exit statuses that all commands share; others are in the text of their command. */
export const EXIT_STATUSES: readonly (readonly [status: string, meaning: string])[] = [
  ["0", "Done."],
  ["1", "Failed: what was asked is not there, or a server did not answer."],
  ["2", "The command line or the configuration is wrong; what would be right is on stderr."],
  ["3", "Of diff: a server does not answer, so nothing was compared."],
];

/** Returns the manual page of a program in the man macros of roff, with all of its commands. `version`: of the program. Pure. */
export function manPage(program: Command, version: string): string {
  const name = program.name();
  return `${[
    `.TH ${name.toUpperCase()} 1 "" "${text(`${name} ${version}`)}" "User Commands"`,
    ".SH NAME",
    `${text(name)} \\- ${text(withoutStop(program.description()))}`,
    ".SH SYNOPSIS",
    `.B ${text(name)}`,
    ".I command",
    "[options]",
    ".SH COMMANDS",
    ...leaves(program).flatMap((command) => commandLines(command, name)),
    ".SH EXIT STATUS",
    ...EXIT_STATUSES.flatMap(([status, meaning]) => [".TP", `.B ${status}`, text(meaning)]),
    ".SH ENVIRONMENT",
    ".TP",
    ".B NO_COLOR",
    "Nothing is coloured.",
    ".SH SEE ALSO",
    "RFC 9176 (CoRE Resource Directory), RFC 7252 (CoAP), RFC 7641 (Observe), RFC 8323 (CoAP over TCP).",
  ].join("\n")}\n`;
}

/** The commands that do something: those without commands of their own. */
function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function commandLines(command: Command, program: string): string[] {
  const words = [command.name()];
  for (let above = command.parent; above !== null && above.name() !== program; above = above.parent)
    words.unshift(above.name());
  const args = command.registeredArguments.map((one) => {
    const shown = one.variadic ? `${one.name()}...` : one.name();
    return one.required ? shown : `[${shown}]`;
  });
  const options = command.options.filter(({ hidden }) => !hidden);
  return [
    `.SS ${text([words.join(" "), ...args].join(" "))}`,
    ...paragraphs(command.description()),
    ...options.flatMap((option) => [".TP", `.B ${text(option.flags)}`, text(optionText(option))]),
  ];
}

function optionText({ description, defaultValue }: Option): string {
  const shown = Array.isArray(defaultValue) && defaultValue.length === 0 ? undefined : defaultValue;
  const hasOwn = shown === undefined || description.includes("(default") || typeof shown === "boolean";
  return hasOwn ? sentence(description) : sentence(`${description} (default: ${String(shown)})`);
}

function paragraphs(description: string): string[] {
  return description.split("\n\n").flatMap((one, at) => [...(at === 0 ? [] : [".PP"]), text(one)]);
}

function sentence(description: string): string {
  const first = description.charAt(0).toUpperCase() + description.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function withoutStop(description: string): string {
  return description.replace(/\.$/, "");
}

/** Text as roff shows it: a line may begin with nothing that is a request. */
function text(plain: string): string {
  const escaped = plain
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("\n", " ")
    .replace(
      /[^\p{ASCII}]/gu,
      (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}]`,
    );
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
