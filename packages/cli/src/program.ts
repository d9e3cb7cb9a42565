import { readVersion } from "@tributary/node";
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type CommandIo, EXIT_FAILURE, EXIT_USAGE, UsageError } from "./command-io.js";
import {
  type CommandRegistration,
  type Finish,
  secondsOption,
  type TraceFlag,
  timeoutOption,
  traced,
  traceOption,
} from "./command-options.js";
import { commandReference } from "./command-reference.js";
import { completionScript, SHELLS, type Shell } from "./completion.js";
import { manPage } from "./man-page.js";
import { type ProtectionFlags, protectable } from "./protection/protection-options.js";
import { addDiff, addDiscover, addProbe, addResolve, addStatus, addWhy } from "./question-commands.js";
import { addStore } from "./store-commands.js";

/** In the order of `--help`. */
const COMMANDS: readonly CommandRegistration[] = [
  addServe,
  addInit,
  addCheck,
  addLookup,
  addRegister,
  addStatus,
  addWhy,
  addDiff,
  addProbe,
  addDiscover,
  addResolve,
  addStore,
  addDemo,
  addCompletion,
  addMan,
];

/** Runs a command line; `args` are without interpreter and script. Resolves with the exit status. */
export async function runCli(args: readonly string[], io: CommandIo): Promise<number> {
  let status = 0;
  const program = createProgram(io);
  for (const add of COMMANDS) {
    add(program, io, (value) => {
      status = value;
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (error instanceof UsageError) {
      io.err(`tributary: ${error.message}`);
      return EXIT_USAGE;
    }
    io.err(`tributary: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT_FAILURE;
  }
}

function createProgram(io: CommandIo): Command {
  return new Command("tributary")
    .description("Federated lookup proxy for CoAP Resource Directories (RFC 9176): many directories, one result.")
    .version(readVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this text")
    .helpCommand("help [command]", "print the text of a command")
    .addHelpText("after", "\nExit status: 0 done, 1 failed, 2 the command line or the configuration is wrong.")
    .exitOverride()
    .showSuggestionAfterError(true)
    .showHelpAfterError("(see --help)")
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) });
}

function addServe(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("serve")
    .summary("run a node: RD, lookup proxy, or both")
    .description(
      "Run a node: a Resource Directory, a lookup proxy, or both. Without a configuration file it is both, " +
        "on coap://localhost:5683, with its status page on http://127.0.0.1:8683; --name, --listen, --upstream and " +
        "--http change that.\n\n" +
        "Prints `ready name=<name> listen=<uri>[,<uri>…]` once everything is bound. SIGHUP reloads the file and applies " +
        "its upstreams; SIGTERM shuts down cleanly.",
    )
    .option("-c, --config <file>", "configuration (YAML)")
    .option("--name <name>", "name of the node, instead of a file")
    .option("--listen <uri>", "CoAP listener, instead of a file; may be repeated", collect, [])
    .option("--upstream <uri>", "an RD to follow, instead of a file; may be repeated", collect, [])
    .option("--http <address>", "address and port of the HTTP interface, or false, instead of a file")
    .addOption(traceOption())
    .action(async (options: ServeFlags) => {
      const { serve } = await import("./commands/serve.js");
      finish(await serve(options, io));
    });
}

interface ServeFlags extends TraceFlag {
  readonly config?: string;
  readonly name?: string;
  readonly listen: string[];
  readonly upstream: string[];
  readonly http?: string;
}

function addInit(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("init")
    .summary("write a configuration to begin with")
    .description(
      "Write a configuration with comments: a Resource Directory, and with upstreams a lookup proxy. Nothing is overwritten. " +
        "With --discover, RDs that answer to multicast become upstreams.",
    )
    .argument("[file]", "where to write it, - to print", "site.yaml")
    .option("--name <name>", "name of the node", "site")
    .option("--listen <uri>", "CoAP listener; may be repeated (default: coap://[::])", collect, [])
    .option("--upstream <uri>", "an RD to follow; may be repeated", collect, [])
    .option("--http <address>", "address and port of the HTTP interface, or false", "127.0.0.1:8683")
    .option("--discover", "search RDs by multicast")
    .option("--no-registration", "a lookup proxy only: nobody registers here")
    .action(async (file: string, options: InitFlags) => {
      const { init } = await import("./commands/init.js");
      const listen = options.listen.length === 0 ? ["coap://[::]"] : options.listen;
      finish(await init({ ...options, file, listen, discover: options.discover === true }, io));
    });
}

interface InitFlags {
  readonly name: string;
  readonly listen: string[];
  readonly upstream: string[];
  readonly http: string;
  readonly discover?: true;
  readonly registration: boolean;
}

function addCheck(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("check")
    .summary("check a configuration")
    .description(
      "Check a configuration: prints OK, or every error as file:line:column with a correction (status 2). With --connect, " +
        "also whether what it refers to is there and as it has to be: upstreams, servers of a shared store (status 1).",
    )
    .option("-c, --config <file>", "configuration (YAML)")
    .option("--schema", "print a JSON Schema of configurations, for editors, instead")
    .option("--connect", "ask the servers that it refers to; nothing is changed there")
    .option("--json", "print JSON: ok, errors, and findings with --connect")
    .addOption(
      new Option(
        "--print",
        "print the configuration with every default and variable filled in, instead of OK",
      ).conflicts(["connect", "json", "schema"]),
    )
    .action(async ({ config, schema, ...options }: CheckFlags) => {
      const { check, printSchema } = await import("./commands/check.js");
      if (schema === true) return finish(printSchema(io));
      if (config === undefined) throw new UsageError("check needs --config <file>, or --schema");
      finish(await check({ ...options, config }, io));
    });
}

interface CheckFlags {
  readonly config?: string;
  readonly schema?: true;
  readonly connect?: true;
  readonly json?: true;
  readonly print?: true;
}

function addLookup(program: Command, io: CommandIo, finish: Finish): void {
  protectable(
    program
      .command("lookup")
      .summary("look up endpoints or resources")
      .description(
        "Ask an RD or lookup proxy for endpoints (ep) or resources (res) and print the links, one per line. The lookup path " +
          "is discovered. Criteria are as in RFC 9176 section 6.2: rt=core.s, ep=lamp*, d=floor3, page=0 count=10.",
      )
      .argument("<interface>", "ep or res", parseInterface)
      .argument("[criteria...]", "key=value, key=prefix*")
      .option("--at <uri>", "the server to ask (default: coap://localhost, else a server found by multicast)")
      .option(
        "--json",
        "print JSON: an array of {target, attributes}; with --watch one object {added, removed} per change",
      )
      .option("--watch", "observe, and print what is added (+) and removed (-) until interrupted")
      .addOption(timeoutOption("time to wait for a response", 10))
      .addOption(traceOption()),
  ).action(async (kind: "ep" | "res", criteria: string[], options: LookupFlags) => {
    const { lookup } = await import("./commands/lookup.js");
    const flags = {
      kind,
      criteria,
      ...options,
      json: options.json === true,
      watch: options.watch === true,
      protection: options,
    };
    finish(await traced(io, options, (tracing) => lookup(flags, tracing)));
  });
}

interface LookupFlags extends TraceFlag, ProtectionFlags {
  readonly at?: string;
  readonly json?: true;
  readonly watch?: true;
  readonly timeout: number;
}

function addRegister(program: Command, io: CommandIo, finish: Finish): void {
  protectable(
    program
      .command("register")
      .summary("register an endpoint and keep it alive")
      .description(
        "Register an endpoint and keep the registration alive until interrupted; then remove it. The registration path is " +
          "discovered at the first server that answers. When that one stops answering, the endpoint registers with the " +
          "next one. Without --at, RDs are searched by multicast, then on this machine.\n\n" +
          "Prints `registered <location>` for each new registration.",
      )
      .argument("[links]", "links of the endpoint in link format, @file, or - for stdin")
      .option("--at <uri>", "an RD; may be repeated", collect, [])
      .option("--ep <name>", "endpoint name, at most 63 bytes")
      .option(
        "--key <file>",
        "key of the endpoint (Ed25519, PEM; made if missing): its name is that of the key, with a proof for RDs of a pool",
      )
      .option("--d <sector>", "sector, at most 63 bytes")
      .option("--lt <seconds>", "lifetime, 1 to 4294967295 (default: 90000)", parseLifetime)
      .option("--base <uri>", "base URI of the endpoint (default: the source address of this command)")
      .option("--proxy", "ask the RD to be its reverse proxy over the connection that is kept (coap+tcp, coaps+tcp)")
      .option("--serve <folder>", "with --proxy: serve the files of a folder (GET, PUT, Observe)")
      .addOption(timeoutOption("time to wait for a response", 5))
      .addOption(traceOption()),
  ).action(async (links: string | undefined, options: RegisterFlags) => {
    const { register } = await import("./commands/register.js");
    const given = { ...options, protection: options, ...(links === undefined ? {} : { links }) };
    finish(await traced(io, options, (tracing) => register(given, tracing)));
  });
}

interface RegisterFlags extends TraceFlag, ProtectionFlags {
  readonly at: string[];
  readonly ep?: string;
  readonly key?: string;
  readonly d?: string;
  readonly lt?: number;
  readonly base?: string;
  readonly proxy?: true;
  readonly serve?: string;
  readonly timeout: number;
}

function addDemo(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("demo")
    .summary("play a scenario of the draft with real exchanges")
    .description(
      "Run a federation in this process, play a scenario of the draft, and print each step with its real exchanges. " +
        "Without --scenario: distinct registration points (6.2): an RD goes away, endpoints move, every proxy follows.",
    )
    .option("--scenario <name>", "the scenario, by its section of the draft")
    .addOption(secondsOption("--pace <seconds>", "pause before each chapter", 1, 0))
    .option("--list", "list the scenarios")
    .addOption(traceOption())
    .action(
      async ({ scenario, pace, list, ...flags }: { scenario?: string; pace: number; list?: true } & TraceFlag) => {
        const [{ demo, listScenarios }, { findScenario }] = await Promise.all([
          import("./commands/demo.js"),
          import("./demo/scenarios.js"),
        ]);
        const play = (tracing: CommandIo): Promise<number> => demo(tracing, findScenario(scenario), pace);
        finish(list === true ? listScenarios(io) : await traced(io, flags, play));
      },
    );
}

function parseInterface(text: string): "ep" | "res" {
  if (text !== "ep" && text !== "res") throw new InvalidArgumentError("It is ep (endpoints) or res (resources).");
  return text;
}

/** RFC 9176 section 5: 1 to 4294967295 seconds. */
function parseLifetime(text: string): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value < 1 || value > 4_294_967_295) {
    throw new InvalidArgumentError("It is a whole number of seconds from 1 to 4294967295.");
  }
  return value;
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function addCompletion(program: Command, io: CommandIo): void {
  program
    .command("completion")
    .summary("print what makes a shell complete this command")
    .description(
      "Print a script for a shell: `source <(tributary completion bash)` tries it; its first line says where to keep it.",
    )
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .action((shell: Shell) => io.out(completionScript(shell, program).trimEnd()));
}

function addMan(program: Command, io: CommandIo): void {
  program
    .command("man")
    .summary("print the manual page")
    .description("Print the manual page, with all commands and options: `tributary man | man -l -` shows it.")
    .option("--markdown", "print it as a page in Markdown instead")
    .action(({ markdown = false }: { readonly markdown?: boolean }) =>
      io.out((markdown ? commandReference(program) : manPage(program, readVersion())).trimEnd()),
    );
}
