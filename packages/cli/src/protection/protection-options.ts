import { type Command, Option } from "commander";

/** The options by which commands protect what they ask. */
export interface ProtectionFlags {
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
  readonly psk?: string;
  readonly oscore?: readonly string[];
}

/** Adds the options for TLS and OSCORE to a command. */
export function protectable(command: Command): Command {
  for (const option of protectionOptions()) command.addOption(option);
  return command;
}

/** In the order of `--help`. `--cert-key`: `register` has another `--key`. */
function protectionOptions(): Option[] {
  return [
    new Option("--ca <file>", "coaps+tcp: certificates of the authorities that sign those of servers (PEM)"),
    new Option("--cert <file>", "coaps+tcp: certificate to show (PEM)"),
    new Option("--cert-key <file>", "coaps+tcp: its private key (PEM)"),
    new Option(
      "--psk <identity=file>",
      "coaps+tcp: pre-shared key, in a file in hexadecimal digits, instead of certificates",
    ),
    new Option(
      "--oscore <[uri=]folder>",
      "security context (a folder with settings.json) for all requests, or for those to one server; may be repeated",
    )
      .argParser((value: string, before: readonly string[]) => [...before, value])
      .default([], "none"),
  ];
}
