import type { Command } from "commander";
import type { CommandIo } from "./command-io.js";
import { type Finish, type TraceFlag, timeoutOption, traced, traceOption } from "./command-options.js";
import { type ProtectionFlags, protectable } from "./protection/protection-options.js";

/** `tributary status`. */
export function addStatus(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("status")
    .summary("show a node and its upstreams")
    .description("Show a running node, and its upstreams: state, coverage, registrations, last change, lag, error.")
    .option("--at <uri>", "HTTP interface of the node", "http://127.0.0.1:8683")
    .option("--json", "print the JSON of /api/upstreams")
    .option("--watch", "print it again every 2 s, in place on a terminal, until interrupted")
    .addOption(timeoutOption("time to wait for a response", 5))
    .action(async ({ watch, ...options }: { at: string; json?: true; watch?: true; timeout: number }) => {
      const given = { ...options, json: options.json === true };
      const deps = { io, fetch: globalThis.fetch };
      if (watch === true) {
        const [{ watchStatus }, { systemClock }] = await Promise.all([
          import("./commands/watch-status.js"),
          import("@tributary/runtime"),
        ]);
        finish(await watchStatus({ ...given, everySeconds: 2 }, { ...deps, clock: systemClock() }));
        return;
      }
      const { status } = await import("./commands/status.js");
      finish(await status(given, deps));
    });
}

/** `tributary why`. */
export function addWhy(program: Command, io: CommandIo, finish: Finish): void {
  protectable(
    program
      .command("why")
      .summary("tell why an endpoint is shown or not")
      .description(
        "Tell what a node knows of an endpoint: its registrations, which one lookups show and why, what each upstream has " +
          "of it, what happened to it, and what the upstreams say themselves when they are asked.",
      )
      .argument("<criteria...>", "ep=NAME, and d=SECTOR for one sector only (d= for none)")
      .option("--at <uri>", "HTTP interface of the node", "http://127.0.0.1:8683")
      .option("--json", "print JSON")
      .addOption(timeoutOption("time to wait for each response", 5))
      .addOption(traceOption()),
  ).action(
    async (criteria: string[], options: { at: string; json?: true; timeout: number } & TraceFlag & ProtectionFlags) => {
      const { why } = await import("./commands/why.js");
      const given = { ...options, protection: options, criteria, json: options.json === true };
      finish(await traced(io, options, (tracing) => why(given, tracing)));
    },
  );
}

/** `tributary diff`. */
export function addDiff(program: Command, io: CommandIo, finish: Finish): void {
  protectable(
    program
      .command("diff")
      .summary("compare what two RDs or proxies show")
      .description(
        "Compare what two servers show: links of the first one only (<), and of the second one only (>). Registrations are " +
          "compared by the path that they have at their RD, however each server reaches it. Status 0: no difference, " +
          "1: there are some, 3: a server does not answer.",
      )
      .argument("<one>", "CoAP or HTTP URI of an RD or proxy")
      .argument("<other>", "the same")
      .argument("[criteria...]", "compare only what meets them: key=value, key=prefix*")
      .option("--json", "print JSON")
      .addOption(timeoutOption("time to wait for each response", 10))
      .addOption(traceOption()),
  ).action(
    async (
      one: string,
      other: string,
      criteria: string[],
      options: { json?: true; timeout: number } & TraceFlag & ProtectionFlags,
    ) => {
      const { diff } = await import("./commands/diff.js");
      const given = {
        ...options,
        servers: [one, other] as const,
        criteria,
        json: options.json === true,
        protection: options,
      };
      finish(await traced(io, options, (tracing) => diff(given, tracing)));
    },
  );
}

/** `tributary probe`. */
export function addProbe(program: Command, io: CommandIo, finish: Finish): void {
  protectable(
    program
      .command("probe")
      .summary("find out what an RD can do")
      .description(
        "Follow an RD as a lookup proxy would, until everything is copied, and print what it can do, how it would be followed, " +
          "what would be left out, and how many requests that took. Nothing is registered or changed.",
      )
      .argument("<uri>", "CoAP URI of the RD")
      .option("--json", "print JSON")
      .addOption(timeoutOption("time for all of it", 60))
      .addOption(traceOption()),
  ).action(async (uri: string, options: { json?: true; timeout: number } & TraceFlag & ProtectionFlags) => {
    const { probe } = await import("./commands/probe.js");
    const given = { uri, json: options.json === true, timeout: options.timeout, protection: options };
    finish(await traced(io, options, (tracing) => probe(given, tracing)));
  });
}

/** `tributary resolve`. */
export function addResolve(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("resolve")
    .summary("find where an oscore:// URI leads")
    .description(
      "Turn oscore://NAME/PATH into URIs of concrete transports (draft 6.3), the preferred one first: an RD is asked for the endpoint " +
        "of that name, which it may find in its pool, and what this host cannot use is left out. The requests themselves, and their keys, " +
        "are the application's. Status 0: there is one, 1: there is none, or the RD does not answer.",
    )
    .argument("<uri>", "oscore://NAME/PATH")
    .option("--at <uri>", "the RD to ask", "coap://localhost")
    .option("--json", "print JSON: uris, what is unusable and why, and the number of registrations")
    .addOption(timeoutOption("time to wait for each response", 10))
    .addOption(traceOption())
    .action(async (uri: string, options: { at: string; json?: true; timeout: number } & TraceFlag) => {
      const { resolve } = await import("./commands/resolve.js");
      const given = { uri, ...options, json: options.json === true };
      finish(await traced(io, options, (tracing) => resolve(given, tracing)));
    });
}

/** `tributary discover`. */
export function addDiscover(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command("discover")
    .summary("find RDs and lookup proxies by multicast")
    .description(
      "Ask the groups of all RDs and all CoAP nodes on every link of this host, and print who answers and what they advertise.",
    )
    .option("--json", "print JSON")
    .addOption(timeoutOption("time to wait for what each server advertises", 5))
    .addOption(traceOption())
    .action(async (options: { json?: true; timeout: number } & TraceFlag) => {
      const { discover } = await import("./commands/discover.js");
      const given = { json: options.json === true, timeout: options.timeout };
      finish(await traced(io, options, (tracing) => discover(given, tracing)));
    });
}
