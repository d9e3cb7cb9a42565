import { existsSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  aiocoapClient,
  type CoapServer,
  coapClient,
  describeWithPeers,
  eventually,
  HopelessError,
  PINNED_NODE,
  requirePeers,
  runProcess,
  startAiocoapRd,
  startProcess,
  startTributary,
  temporaryFolder,
} from "./peers.js";

const SLEEPER = ["-e", "console.log('up'); setInterval(() => {}, 1000)"];

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("processes end with the test that started them", () => {
  const left: { pid?: number; folder?: string } = {};

  test("a process and a folder", async () => {
    const sleeper = startProcess(PINNED_NODE, SLEEPER);
    await eventually(() => sleeper.stdout() === "up\n", { what: "the process" });
    Object.assign(left, { pid: sleeper.pid, folder: temporaryFolder() });
    expect(existsSync(left.folder ?? "")).toBe(true);
  });

  test("are gone afterwards", () => {
    expect(left.pid).toBeGreaterThan(0);
    expect(isAlive(left.pid ?? 0)).toBe(false);
    expect(existsSync(left.folder ?? "")).toBe(false);
  });
});

describe("runProcess", () => {
  test("gives the status and all output, and passes input", async () => {
    const script = "process.stdin.pipe(process.stdout); console.error('e'.repeat(100_000)); process.exitCode = 3";
    const finished = await runProcess(PINNED_NODE, ["-e", script], { input: "hello" });
    expect(finished).toEqual({ status: 3, stdout: "hello", stderr: `${"e".repeat(100_000)}\n`, isTimedOut: false });
  });

  test("ends a process whose time is up, with all that it started", async () => {
    const finished = await runProcess("sh", ["-c", "sleep 1000 & sleep 1000"], { timeoutMs: 100 });
    expect(finished).toMatchObject({ status: "SIGKILL", isTimedOut: true });
  });

  test("fails when there is no such program", async () => {
    await expect(runProcess("/nonexistent/program", [])).rejects.toThrow("ENOENT");
  });
});

describe("eventually", () => {
  test("gives the value that comes", async () => {
    let calls = 0;
    expect(await eventually(() => (++calls < 3 ? null : calls))).toBe(3);
  });

  test("tells what it waited for and the last failed assertion", async () => {
    const waiting = eventually(() => expect(1).toBe(2), { timeoutMs: 50, what: "the impossible" });
    await expect(waiting).rejects.toThrow(/waited 50 ms for the impossible: .*expected 1 to be 2/);
  });

  test("fails at once when it is hopeless", async () => {
    const hopeless = (): never => {
      throw new HopelessError("gone");
    };
    await expect(eventually(hopeless, { timeoutMs: 60_000 })).rejects.toThrow("gone");
  });
});

describe("startTributary", () => {
  test("waits for the ready line and tells the bound addresses", async () => {
    const node = await startTributary({
      config: { name: "rd-a", listen: ["coap://[::1]:0"], http: false, registration: {} },
    });
    expect(node.name).toBe("rd-a");
    expect(node.uris).toEqual([expect.stringMatching(/^coap:\/\/\[::1\]:[1-9]\d+$/)]);
    expect(await node.stop()).toBe(0);
  });

  test("fails with the log when the node ends", async () => {
    await expect(startTributary({ config: "lookup: 5\n" })).rejects.toThrow(/^ended with 2: .*lookup/s);
  });
});

describeWithPeers(["aiocoap"], "aiocoap's RD", () => {
  let rd: CoapServer;
  beforeAll(async () => {
    rd = await startAiocoapRd();
  });

  test("answers its own client", async () => {
    const { stdout } = await aiocoapClient([`${rd.uri}/.well-known/core?rt=core.rd`]);
    expect(stdout).toContain('rt="core.rd"');
  });

  test("answers libcoap's client", async (context) => {
    requirePeers(context, "libcoap");
    const { stdout } = await coapClient([`${rd.uri}/.well-known/core?rt=core.rd`]);
    expect(stdout).toContain('rt="core.rd"');
  });

  test("on IPv4", async () => {
    const { uri } = await startAiocoapRd({ bind: "127.0.0.1" });
    expect(uri).toMatch(/^coap:\/\/127\.0\.0\.1:\d+$/);
    expect((await aiocoapClient([`${uri}/nothing`])).status).toBe(1);
  });

  test("on a port that is taken fails with the reason", async () => {
    await expect(startAiocoapRd({ bind: rd.uri.replace("coap://", "") })).rejects.toThrow("Address already in use");
  });
});
