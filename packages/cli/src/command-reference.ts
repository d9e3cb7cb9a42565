import type { Command } from "commander";
import { type CommandText, commandTexts, EXIT_STATUSES } from "./command-tree.js";

/** Returns the commands of a program as a page in Markdown. Pure. */
export function commandReference(program: Command): string {
  const name = program.name();
  const commands = commandTexts(program);
  return `${[
    `# Commands of ${name}`,
    `Written by \`${name} man --markdown\`. ${plain(program.description())}`,
    commands.map(({ usage }) => `- [\`${name} ${usage}\`](#${anchorOf(`${name} ${usage}`)})`).join("\n"),
    ...commands.flatMap((command) => commandParts(command, name)),
    "## Exit status",
    table(["status", "meaning"], EXIT_STATUSES),
  ].join("\n\n")}\n`;
}

function commandParts({ usage, description, arguments: args, options }: CommandText, name: string): string[] {
  const named = [...args.map((one) => [one.name, one.text]), ...options.map(({ flags, text }) => [flags, text])];
  const rows = named.map(([what = "", text = ""]) => [`\`${what}\``, plain(text)]);
  const parts = [`## ${name} ${usage.replace(/[[\]<>]/g, "\\$&")}`, ...description.map(plain)];
  return rows.length === 0 ? parts : [...parts, table(["argument or option", "meaning"], rows)];
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), `|${heads.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

/** The name that renderers of Markdown give to a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

/** Text that means nothing else in Markdown, outside of what is code already. */
function plain(text: string): string {
  const parts = text.replaceAll("\n", " ").split(/(`[^`]*`)/);
  return parts.map((part) => (part.startsWith("`") ? part : part.replace(/[*_<>[\]\\]/g, "\\$&"))).join("");
}
