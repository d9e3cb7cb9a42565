import type { Command } from "commander";

/** Shells that completion is written for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

export type Shell = (typeof SHELLS)[number];

/** A command with what may follow it. */
interface CompletedCommand {
  /** Words from the program on, such as `store export`; empty for the program itself. */
  readonly path: string;
  readonly summary: string;
  readonly subcommands: readonly string[];
  readonly options: readonly CompletedOption[];
}

interface CompletedOption {
  readonly flag: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** Values that the option can have, where these are few. */
  readonly choices: readonly string[];
  readonly isFile: boolean;
}

const FILE_VALUE = /<(?:file|folder)>/;

/** Returns a script that makes a shell complete the commands, options and values of `program`. Pure. */
export function completionScript(shell: Shell, program: Command): string {
  const commands = describe(program, "");
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](program.name(), commands);
}

function describe(command: Command, path: string): CompletedCommand[] {
  const help = { flag: "--help", description: "print this text", takesValue: false, choices: [], isFile: false };
  const own: CompletedCommand = {
    path,
    summary: command.summary() || command.description(),
    subcommands: command.commands.map((one) => one.name()),
    options: [
      ...command.options
        .filter(({ hidden }) => !hidden)
        .map(({ long, short, description, required, optional, argChoices, flags }) => ({
          flag: long ?? short ?? "",
          description,
          takesValue: required || optional,
          choices: argChoices ?? [],
          isFile: FILE_VALUE.test(flags),
        })),
      help,
    ],
  };
  return [own, ...command.commands.flatMap((one) => describe(one, `${path} ${one.name()}`.trim()))];
}

/** The words of the command line that are commands decide what is offered; everything else is skipped. */
function bashScript(name: string, commands: readonly CompletedCommand[]): string {
  return `# ${name} completion bash > /etc/bash_completion.d/${name}, or: source <(${name} completion bash)
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" path="" word next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${path:+$path }$word"
    case "$next" in
      ${alternatives(commands)}) path="$next" ;;
    esac
  done
  COMPREPLY=()
  case "$path:$previous" in
${commands
  .flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flag, choices, isFile }) => {
        const values = isFile ? "compgen -f" : `compgen -W ${quoted(choices.join(" "))}`;
        return `    ${quoted(`${path}:${flag}`)}) mapfile -t COMPREPLY < <(${values} -- "$current"); return ;;`;
      }),
  )
  .join("\n")}
  esac
  case "$path" in
${commands
  .map(({ path, subcommands, options }) => {
    const words = [...subcommands, ...options.map(({ flag }) => flag)].join(" ");
    return `    ${quoted(path)}) mapfile -t COMPREPLY < <(compgen -W ${quoted(words)} -- "$current") ;;`;
  })
  .join("\n")}
  esac
}
complete -o bashdefault -o default -F _${name} ${name}
`;
}

function zshScript(name: string, commands: readonly CompletedCommand[]): string {
  const summaries = new Map(commands.map(({ path, summary }) => [path, summary]));
  return `#compdef ${name}
# ${name} completion zsh > a folder of $fpath, as _${name}
_${name}() {
  local path="" word next previous="\${words[CURRENT-1]}"
  local -a offered
  for word in "\${(@)words[2,CURRENT-1]}"; do
    next="\${path:+$path }$word"
    case "$next" in
      (${alternatives(commands)}) path="$next" ;;
    esac
  done
  case "$path:$previous" in
${commands
  .flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flag, choices, isFile }) => {
        const values = isFile
          ? "_files"
          : choices.length > 0
            ? `compadd -- ${choices.map(quoted).join(" ")}`
            : "_message value";
        return `    (${quoted(`${path}:${flag}`)}) ${values}; return ;;`;
      }),
  )
  .join("\n")}
  esac
  case "$path" in
${commands
  .map(({ path, subcommands, options }) => {
    const entries = [
      ...subcommands.map((one) => described(one, summaries.get(`${path} ${one}`.trim()) ?? "")),
      ...options.map(({ flag, description }) => described(flag, description)),
    ];
    return `    (${quoted(path)}) offered=(${entries.map(quoted).join(" ")}) ;;`;
  })
  .join("\n")}
  esac
  _describe ${name} offered
}
_${name} "$@"
`;
}

function fishScript(name: string, commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ path, subcommands, options }) => {
    const words = path.split(" ").filter((word) => word !== "");
    const inside = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const before = subcommands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${subcommands.join(" ")}`];
    const condition = [...inside, ...before].join("; and ");
    const where = condition === "" ? "" : ` -n ${quoted(condition)}`;
    const summaryOf = (one: string) => commands.find((other) => other.path === `${path} ${one}`.trim())?.summary ?? "";
    return [
      ...subcommands.map((one) => `complete -c ${name} -f${where} -a ${one} -d ${quoted(summaryOf(one))}`),
      ...options.map(({ flag, description, takesValue, choices, isFile }) => {
        const value = !takesValue
          ? ""
          : isFile
            ? " -r -F"
            : ` -x${choices.length > 0 ? ` -a ${quoted(choices.join(" "))}` : ""}`;
        return `complete -c ${name}${where} -l ${flag.replace(/^-+/, "")}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# ${name} completion fish > ~/.config/fish/completions/${name}.fish\n${lines.join("\n")}\n`;
}

/** Pattern of `case` for the paths of all commands. */
function alternatives(commands: readonly CompletedCommand[]): string {
  return commands
    .map(({ path }) => path)
    .filter((path) => path !== "")
    .map(quoted)
    .join("|");
}

function described(word: string, description: string): string {
  return `${word}:${description.replaceAll(":", "\\:")}`;
}

/** One word of a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
