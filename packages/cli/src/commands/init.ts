// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text shows the syntax of variables
import { writeFile } from "node:fs/promises";
import { openCoapClient } from "@tributary/coap-transport";
import { checkConfig, formatConfigError, systemEnvironment, systemHostAddresses } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { searchByMulticast } from "../register/directory-search.js";
import { createEndpointClient } from "../register/endpoint-client.js";

/** Arguments of `tributary init`. */
export interface InitOptions {
  /** Where the file is written; `-` for stdout. */
  readonly file: string;
  readonly name: string;
  readonly listen: readonly string[];
  readonly upstream: readonly string[];
  /** Address of the HTTP interface, or `false`. */
  readonly http: string;
  /** Whether RDs are searched by multicast, and written as upstreams. */
  readonly discover: boolean;
  /** Whether endpoints register here. */
  readonly registration: boolean;
}

const STDOUT = "-";

/** `tributary init`: writes a configuration with comments. Returns the exit status. */
export async function init(options: InitOptions, io: CommandIo): Promise<number> {
  const found = options.discover ? await search(io) : [];
  if (options.discover) io.err(`tributary: ${found.length === 0 ? "nobody" : found.join(", ")} answers to multicast`);
  const upstream = [...new Set([...options.upstream, ...found])];
  const text = configurationText({ ...options, upstream });
  const checked = checkConfig(text, options.file, systemHostAddresses);
  if (!checked.ok) {
    const lines = checked.errors.map((error) => formatConfigError(error));
    throw new UsageError(`this would not be a configuration:\n${lines.join("\n")}`);
  }
  if (options.file === STDOUT) {
    io.out(text.trimEnd());
    return 0;
  }
  try {
    // What is there may be the only copy of somebody's work.
    await writeFile(options.file, text, { flag: "wx" });
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST";
    const reason = isThere ? "there is such a file already; give another name, or - to print" : String(error);
    io.err(`tributary: ${options.file} is not written: ${reason}`);
    return EXIT_FAILURE;
  }
  io.out(`wrote ${options.file}; start it with: tributary serve -c ${options.file}`);
  return 0;
}

/** Origins of RDs on the links of this host. */
async function search(io: CommandIo): Promise<readonly string[]> {
  const env = systemEnvironment(io.packets ?? silentLogger);
  const client = await openCoapClient({ env });
  const group = createEndpointClient(io.packets);
  try {
    return await searchByMulticast({ client: group, clock: env.clock }, "core.rd", { signal: io.interrupt });
  } finally {
    group.close();
    await client.close();
  }
}

/** The text of a configuration. Pure. */
export function configurationText({ name, listen, upstream, http, registration }: InitOptions): string {
  const list = (items: readonly string[], indent: string): string[] =>
    items.map((item) => `${indent}- ${JSON.stringify(item)}`);
  const hasLookup = upstream.length > 0 || !registration;
  return [
    "# Configuration of a Tributary node. Check it with `tributary check -c`; `tributary check --schema` is for editors.",
    "# Values may contain environment variables: ${NAME}, or ${NAME:-default}.",
    "",
    "# Names this node in provenance, logs and metrics: unique in the federation.",
    `name: ${JSON.stringify(name)}`,
    "",
    "# What it listens on. An IPv6 address is in brackets, and the whole in quotes. Add coap+tcp:// for RDs and proxies far away.",
    "listen:",
    ...list(listen, "  "),
    "",
    "# Status page, HTTP lookups and metrics. It has no login: leave it on loopback.",
    `http: ${http === "false" ? "false" : JSON.stringify(http)}`,
    "",
    ...(registration
      ? [
          "# This node is a Resource Directory: endpoints register here.",
          "registration:",
          "  # In memory, registrations are lost at a restart. On disk they are not:",
          "  # store: lmdb:./state",
          "  store: memory",
          "",
        ]
      : []),
    ...(hasLookup
      ? [
          "# This node is a lookup proxy: it answers for all these RDs.",
          "lookup:",
          "  upstreams:",
          ...(upstream.length === 0
            ? ['    - "coap://[2001:db8::1]" # an RD; write the address of yours']
            : list(upstream, "    ")),
          "  # Longest wait for an RD that is asked.",
          "  timeout: 2s",
          "",
          "# What was copied survives a restart, also while RDs are unreachable:",
          "# snapshot: ./copies",
          "",
        ]
      : ["# With upstreams it is a lookup proxy as well:", "# lookup:", '#   upstreams: ["coap://[2001:db8::1]"]', ""]),
  ].join("\n");
}
