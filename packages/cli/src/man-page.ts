import type { Command } from "commander";
import { type CommandText, commandTexts, EXIT_STATUSES } from "./command-tree.js";

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
    ...commandTexts(program).flatMap(commandLines),
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

function commandLines({ usage, description, arguments: args, options }: CommandText): string[] {
  return [
    `.SS ${text(usage)}`,
    ...description.flatMap((one, at) => [...(at === 0 ? [] : [".PP"]), text(one)]),
    ...args.flatMap((one) => [".TP", `.I ${text(one.name)}`, text(one.text)]),
    ...options.flatMap((option) => [".TP", `.B ${text(option.flags)}`, text(option.text)]),
  ];
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
