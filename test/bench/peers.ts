import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";
import { atLeast, type Findings, ms, rate, ratio, type Tell } from "./figures.ts";
import { type Load, type LoadOptions, load } from "./load.ts";
import { measureEcho } from "./lookups.ts";
import { type MeasuredProcess, startProcess, startServer } from "./measured-process.ts";
import { linksOf, lookupDatagram, registrationOf, SELECTIVE } from "./workload.ts";

const REGISTRATIONS = 1_000;
/** Every one of them has been compiled as far as it ever will be. */
const WARM_UP_MS = 3_000;
const AIOCOAP_RD = fileURLToPath(new URL("../../.test-peers/venv/bin/aiocoap-rd", import.meta.url));
const LIBCOAP_SERVER = "/usr/bin/coap-server-notls";

interface Peer {
  readonly name: string;
  readonly does: string;
  readonly load: Load;
}

/** The same lookups at other servers, or what comes closest to them. */
export async function measurePeers(tell: Tell): Promise<Findings> {
  const [ep] = SELECTIVE;
  if (ep === undefined) throw new Error("there is no workload");
  const requests = Array.from({ length: REGISTRATIONS }, (_, index) => lookupDatagram(ep.path, ep.queryOf(index)));
  const peers: Peer[] = [];
  const add = (name: string, does: string, one: Load): void => {
    peers.push({ name, does, load: one });
    tell(
      `  ${name}: ${rate(one.rate)}/s, p50 ${ms(one.p50Ms)} ms${one.failed + one.lost > 0 ? `, ${one.failed} failed, ${one.lost} lost` : ""}`,
    );
  };
  const own = await measured(startServer("directory-server.ts", [REGISTRATIONS]), requests);
  add("Tributary", `RD with ${REGISTRATIONS} registrations, ep=…`, own);
  add("node:dgram", "echo of as many bytes", await measureEcho(own.answerBytes, requests));
  add(
    "coap (npm)",
    "hello world of as many bytes",
    await measured(startServer("coap-package-server.ts", [own.answerBytes]), requests),
  );
  if (existsSync(LIBCOAP_SERVER)) {
    const port = await freePort();
    const server = startProcess(LIBCOAP_SERVER, ["-A", "127.0.0.1", "-p", String(port), "-v", "7"], /created UDP/);
    const hello = [lookupDatagram([], [])];
    add(
      "libcoap coap-server",
      "its front page",
      await measured(
        server.then((one) => ({ ...one, port })),
        hello,
      ),
    );
  }
  const slow = existsSync(AIOCOAP_RD) ? await measureAiocoap(tell) : null;
  if (slow !== null) add("aiocoap-rd", `RD with ${REGISTRATIONS} registrations, ep=…`, slow);
  const rateOf = (name: string) => peers.find((one) => one.name === name)?.load.rate ?? Number.NaN;
  return {
    tables: [
      {
        title: "Other servers",
        about:
          "One process each, on the same machine, one after the other in the same run, asked by the same load generator.",
        columns: ["server", "does", "per second", "Tributary does", "p50, ms", "p99, ms", "bytes"],
        rows: peers.map(({ name, does, load: one }) => [
          name,
          does,
          rate(one.rate),
          `${ratio(own.rate / one.rate)} ×`,
          ms(one.p50Ms),
          ms(one.p99Ms),
          one.answerBytes,
        ]),
      },
    ],
    targets: [
      atLeast("lookups, times a hello world on the npm package coap", 3, own.rate / rateOf("coap (npm)")),
      ...(slow === null
        ? []
        : [
            atLeast(
              `lookups with ${REGISTRATIONS} registrations, times aiocoap-rd`,
              1000,
              own.rate / rateOf("aiocoap-rd"),
            ),
          ]),
    ],
    plots: [],
  };
}

async function measured(
  starting: Promise<MeasuredProcess>,
  requests: readonly Buffer[],
  options: LoadOptions = { warmUpMs: WARM_UP_MS },
): Promise<Load> {
  const server = await starting;
  try {
    return await load(server, requests, options);
  } finally {
    await server.stop("SIGKILL");
  }
}

/** It answers some tens of lookups a second: few at once, and for longer. */
async function measureAiocoap(tell: Tell): Promise<Load> {
  const port = await freePort();
  const server = { ...(await startProcess(AIOCOAP_RD, ["--bind", `127.0.0.1:${port}`], null)), port };
  const client = await openCoapClient({ env: { clock: systemClock(), random: Math.random, logger: silentLogger } }, {});
  try {
    await untilItAnswers(client, port);
    for (let index = 0; index < REGISTRATIONS; index++) {
      const { ep, d = "", base } = registrationOf(index, 0);
      const { code } = await client.request(
        {
          method: 2,
          uri: `coap://127.0.0.1:${port}/resourcedirectory/`,
          query: [`ep=${ep}`, `d=${d}`, `base=${base}`],
          contentFormat: 40,
          payload: Buffer.from(linksOf(index)),
        },
        { timeoutMs: 20_000 },
      );
      if (code !== 65) throw new Error(`aiocoap-rd answers a registration with ${code}`);
    }
    tell(`  aiocoap-rd holds ${REGISTRATIONS} registrations`);
    const requests = Array.from({ length: REGISTRATIONS }, (_, index) =>
      lookupDatagram(["endpoint-lookup", ""], [`ep=node-${index}`]),
    );
    return await load(server, requests, { window: 4, sockets: 2, warmUpMs: 1000, measureMs: 10_000 });
  } finally {
    await client.close();
    await server.stop("SIGKILL");
  }
}

async function untilItAnswers(client: Awaited<ReturnType<typeof openCoapClient>>, port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      await client.request({ method: 1, uri: `coap://127.0.0.1:${port}/.well-known/core` }, { timeoutMs: 500 });
      return;
    } catch {
      await delay(100);
    }
  }
  throw new Error("aiocoap-rd does not answer");
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
