import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { FIGURE_HOSTS, NamespaceNetwork } from "../harness/namespaces.js";
import {
  coapClient,
  coapClientPath,
  describeWithPeers,
  eventually,
  type RunningProcess,
  startAiocoapRd,
  startProcess,
  startTributary,
  temporaryFolder,
} from "../peers/peers.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(join(ROOT, "README.md"), "utf8");

/** A node, which goes on running. A block with nodes takes the place of those that run. */
function isServer(command: string): boolean {
  return command === "npm start" || command.startsWith("tributary serve");
}

/** Another command that goes on running. */
const IN_BACKGROUND = / &$/;

interface Step {
  readonly commands: readonly string[];
  /** Null: the page shows no output. */
  readonly output: string | null;
}

/** The command blocks of a page, each with the block of output that follows it at once. */
function stepsOf(page: string): Step[] {
  const blocks = page.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n?```\n([\s\S]*?)^```\n)?/gm);
  return [...blocks].map(([, commands = "", output]) => ({
    commands: commands.split("\n").flatMap((line) => /^([^#]*[^#\s])/.exec(line)?.[1] ?? []),
    output: output ?? null,
  }));
}

/** The files that a page shows: YAML whose first line is a comment with the name. */
function filesOf(page: string): { name: string; text: string }[] {
  const files = page.matchAll(/^```yaml\n(# (\S+\.yaml)\n[\s\S]*?)^```\n/gm);
  return [...files].map(([, text = "", name = ""]) => ({ name, text }));
}

/** What differs from run to run, with what it is compared as. Everything else is compared to the character. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  // What npm says of itself, and how long a step took.
  [/^> .*\n|^\n/gm, ""],
  [/ *(?:done in [\d.]+ s|nothing to do)$/gm, " <done>"],
  [/^\d{4}-\d\d-\d\dT[\d:.]+Z/gm, "<time>"],
  [/(?<= name=)\S+/g, "<host>"],
  // Identities that are drawn, and ports of clients.
  [/(?<=tributary-node=")[0-9a-f]{16}/g, "<node>"],
  [/(?<=\/reg\/)[a-z0-9]+/g, "<id>"],
  [/(?<=127\.0\.0\.1:)\d{5}/g, "<port>"],
  [/\b\d+ ms\b/g, "<ms>"],
  [/\b\d+ MB\b/g, "<MB>"],
  [/ up for \d+[smh]/g, " up for <time>"],
  // Columns of a table are as wide as what is in them.
  [/ \d+[smh] ago/g, " <ago>"],
  [/(?<=<ago> +)(?:-|\d+m?s)/g, "<lag>"],
  [/ {2,}| +$/gm, "  "],
];

function comparable(text: string): string {
  return VARYING.reduce((rest, [pattern, placeholder]) => rest.replace(pattern, placeholder), text).trim();
}

/** In what the page shows, a line `…` stands for any number of lines. */
function expectShown(actual: string, shown: string): void {
  let rest = comparable(actual);
  const parts = comparable(shown).split(/^\s*…\n|\n\s*…$/m);
  if (parts.length === 1) {
    expect(rest).toBe(parts[0]);
    return;
  }
  for (const part of parts) {
    expect(rest).toContain(part.trim());
    rest = rest.slice(rest.indexOf(part.trim()) + part.trim().length);
  }
}

describeWithPeers(["libcoap", "aiocoap", "netns"], "README.md", () => {
  test("every command block does what the page shows", { timeout: 300_000 }, async () => {
    const network = new NamespaceNetwork(FIGURE_HOSTS);
    const netns = network.host("host4");
    const folder = temporaryFolder();
    const bin = temporaryFolder();
    // Debian adds the name of a TLS library to the command, or that there is none.
    symlinkSync(coapClientPath(), join(bin, "coap-client-notls"));
    for (const { name, text } of filesOf(README)) writeFileSync(join(folder, name), text);
    await startUpstreams(network);

    const env = { PATH: `${bin}:${ROOT}node_modules/.bin:${process.env.PATH}`, NO_COLOR: "1" };
    const start = (command: string): RunningProcess => {
      const cwd = command.startsWith("npm ") ? ROOT : folder;
      return startProcess("sh", ["-c", `exec 2>&1; ${command}`], { cwd, netns, env });
    };
    let running: RunningProcess[] = [];
    const stopAll = async (): Promise<void> => {
      await Promise.all(running.map((one) => one.stop()));
      running = [];
    };
    for (const { commands, output } of stepsOf(README)) {
      const runAll = async (): Promise<string> => {
        let text = "";
        for (const command of commands) {
          const started = start(command.replace(IN_BACKGROUND, ""));
          if (IN_BACKGROUND.test(command)) {
            running.push(started);
            await eventually(() => /^registered /m.test(started.stdout()), {
              what: `${command}\n${started.stdout()}`,
            });
            text += started.stdout();
            continue;
          }
          if (isServer(command)) {
            running.push(started);
            await eventually(() => / info {2}ready /.test(started.stdout()), {
              what: `${command}\n${started.stdout()}`,
            });
          } else {
            expect(await started.exited, `${command}\n${started.stdout()}`).toBe(0);
          }
          text += started.stdout();
        }
        return text;
      };
      if (commands.some(isServer)) await stopAll();
      if (output === null) await runAll();
      else if (!commands.some((command) => command.startsWith("tributary status"))) expectShown(await runAll(), output);
      // A state that is reached a moment after the start.
      else
        await eventually(
          async () => {
            expectShown(await runAll(), output);
            return true;
          },
          { intervalMs: 500 },
        );
    }
    await stopAll();
  });
});

/** The RDs that the page's lookup proxy follows: a Tributary node and aiocoap's, each with registrations. */
async function startUpstreams(network: NamespaceNetwork): Promise<void> {
  const [host1, host2] = [network.host("host1"), network.host("host2")];
  const registration = { replicas: ["2001:db8::/32"] };
  await startTributary({
    config: { name: "rd-a", listen: ["coap://[2001:db8:23::1]"], http: false, registration },
    netns: host1,
  });
  await startAiocoapRd({ bind: "[2001:db8:23::2]:5683", netns: host2 });
  for (const [netns, ep] of [
    [host1, "node1"],
    [host1, "node2"],
    [host2, "node3"],
  ] as const) {
    const host = netns === host1 ? "[2001:db8:23::1]" : "[2001:db8:23::2]";
    const links = '</sensors/temp>;rt="temperature-c"';
    await coapClient(["-m", "post", "-t", "40", "-e", links, `coap://${host}/rd?ep=${ep}`], { netns });
  }
}
