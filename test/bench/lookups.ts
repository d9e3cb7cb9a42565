import { atLeast, atMost, type Findings, ms, rate, ratio, type Tell } from "./figures.ts";
import { type Load, load } from "./load.ts";
import { type MeasuredProcess, startServer } from "./measured-process.ts";
import { startNode, untilLive } from "./node-process.ts";
import { BROADER, type LookupWorkload, lookupDatagram, SELECTIVE } from "./workload.ts";

/** Lookups of one kind at a directory of one size. */
interface LookupFigure {
  readonly registrations: number;
  readonly where: string;
  readonly kind: string;
  readonly isSelective: boolean;
  readonly load: Load;
  /** Of an echo with answers of the same size, measured right after. */
  readonly ofEcho: number;
}

const SIZES = [1_000, 100_000, 1_000_000] as const;
const PROXY_SIZE = 100_000;
const DISTINCT_REQUESTS = 20_000;
/** Coprime to every size: visits registrations all over the directory. */
const STRIDE = 7919;
/** Long enough for every request to have come three times. */
const WARM_UP_MS = { few: 1_000, many: 5_000 } as const;
const FEW = 1_000;
const MEASURE_MS = 2_000;
/** Of the largest directory, resident: heap that a collection would free included. */
const MAX_RESIDENT_BYTES = 2.5e9;

/** Rates and latencies of lookups by size of the directory, at an RD and at a proxy. */
export async function measureLookups(tell: Tell, sizes: readonly number[] = SIZES): Promise<Findings> {
  const figures: LookupFigure[] = [];
  const memory: (readonly [registrations: number, seconds: number, resident: number, each: number])[] = [];
  for (const registrations of sizes) {
    const server = await startServer("directory-server.ts", [registrations]);
    try {
      const { seconds, rss, bytesEach } = JSON.parse(/^filled (.*)$/m.exec(server.stdout())?.[1] ?? "{}");
      memory.push([registrations, seconds, rss, bytesEach]);
      tell(`  ${registrations} registrations: ${seconds.toFixed(1)} s to fill, ${Math.round(rss / 1e6)} MB resident`);
      figures.push(...(await measureAll(server, "RD", registrations, [...SELECTIVE, ...BROADER], tell)));
    } finally {
      await server.stop();
    }
    const forgetful = await startServer("directory-server.ts", [registrations, 0, 0]);
    try {
      figures.push(...(await measureAll(forgetful, "RD, nothing remembered", registrations, SELECTIVE, tell)));
    } finally {
      await forgetful.stop();
    }
  }
  figures.push(...(await measureProxy(tell)));
  return findings(figures, memory);
}

async function measureProxy(tell: Tell): Promise<LookupFigure[]> {
  const rd = await startServer("directory-server.ts", [PROXY_SIZE]);
  const proxy = await startNode({ lookup: { upstreams: [{ name: "rd", uri: `coap://127.0.0.1:${rd.port}` }] } });
  try {
    await untilLive(proxy);
    return await measureAll(proxy, "proxy", PROXY_SIZE, SELECTIVE, tell);
  } finally {
    await proxy.stop();
    await rd.stop();
  }
}

async function measureAll(
  server: MeasuredProcess,
  where: string,
  registrations: number,
  workloads: readonly LookupWorkload[],
  tell: Tell,
): Promise<LookupFigure[]> {
  const figures: LookupFigure[] = [];
  for (const workload of workloads) {
    const requests = Array.from({ length: Math.min(DISTINCT_REQUESTS, registrations) }, (_, turn) =>
      lookupDatagram(workload.path, workload.queryOf((turn * STRIDE) % registrations)),
    );
    const warmUpMs = requests.length > FEW ? WARM_UP_MS.many : WARM_UP_MS.few;
    const measured = await load(server, requests, { warmUpMs, measureMs: MEASURE_MS });
    const echo = await measureEcho(measured.answerBytes, requests);
    const isSelective = SELECTIVE.includes(workload);
    const figure = {
      registrations,
      where,
      kind: workload.name,
      isSelective,
      load: measured,
      ofEcho: measured.rate / echo.rate,
    };
    figures.push(figure);
    tell(`  ${describe(figure)}`);
  }
  return figures;
}

/** The raw limit: an echo that answers these requests with so many bytes. */
export async function measureEcho(answerBytes: number, requests: readonly Buffer[]): Promise<Load> {
  const echo = await startServer("echo-server.ts", [answerBytes]);
  try {
    return await load(echo, requests, { warmUpMs: 500, measureMs: 1500 });
  } finally {
    await echo.stop();
  }
}

function describe({ where, registrations, kind, load, ofEcho }: LookupFigure): string {
  const trouble = load.failed + load.lost > 0 ? `, ${load.failed} failed, ${load.lost} lost` : "";
  const bound = load.isGeneratorBound ? ", bound by the load generator" : "";
  return `${where}, ${registrations}: ${kind.padEnd(18)} ${rate(load.rate)}/s, ${ratio(ofEcho)} of the echo, p99 ${ms(load.p99Ms)} ms${trouble}${bound}`;
}

function findings(
  figures: readonly LookupFigure[],
  memory: readonly (readonly [registrations: number, seconds: number, resident: number, each: number])[],
): Findings {
  const worst = (registrations: number) =>
    Math.min(
      ...figures
        .filter((one) => one.where === "RD" && one.isSelective && one.registrations === registrations)
        .map(({ ofEcho }) => ofEcho),
    );
  const sizes = [...new Set(memory.map(([registrations]) => registrations))];
  const ends = [...new Set([sizes[0] as number, sizes.at(-1) as number])];
  const [registrations, , resident] = memory.at(-1) as (typeof memory)[number];
  return {
    tables: [
      {
        title: "Lookups",
        about: `${DISTINCT_REQUESTS} different lookups in turn (1,000 at the smallest), 64 under way. The first time they are answered from the index; from the third on, as long as no change concerns them, from the bytes that were sent before. In rows with "nothing remembered" that is switched off, and every lookup is answered from the index. The echo answers the same requests with as many bytes from a bare socket of \`node:dgram\`.`,
        columns: [
          "at",
          "registrations",
          "lookup",
          "per second",
          "of the echo",
          "p50, ms",
          "p99, ms",
          "CPU each, µs",
          "answer, bytes",
          "bound by",
        ],
        rows: figures.map(({ where, registrations: size, kind, load: one, ofEcho }) => [
          where,
          size,
          kind,
          rate(one.rate),
          ratio(ofEcho),
          ms(one.p50Ms),
          ms(one.p99Ms),
          one.cpuMicrosEach.toFixed(1),
          one.answerBytes,
          one.isGeneratorBound ? "generator" : "server",
        ]),
      },
      {
        title: "Memory",
        about: "Registrations of three links each. Resident memory of the whole process, right after filling.",
        columns: ["registrations", "seconds to fill", "resident, MB", "bytes each"],
        rows: memory.map(([size, seconds, bytes, each]) => [size, seconds.toFixed(2), Math.round(bytes / 1e6), each]),
      },
    ],
    targets: [
      ...ends.map((size) =>
        atLeast(`selective lookups with ${size} registrations, of the echo (slowest kind)`, 0.6, worst(size)),
      ),
      atMost(
        `resident memory of ${registrations} registrations of three links`,
        MAX_RESIDENT_BYTES / 1e9,
        resident / 1e9,
        "GB",
      ),
    ],
    plots: [
      {
        file: "lookups",
        title: "Selective lookups by size of the directory, of a bare echo",
        x: "registrations",
        y: "of the echo's rate",
        isLogX: true,
        isLogY: false,
        points: figures
          .filter(({ isSelective, where }) => isSelective && where !== "proxy")
          .map(({ kind, where, registrations: x, ofEcho: y }) => ({
            series: where === "RD" ? kind : `${kind}, from the index`,
            x,
            y,
          })),
      },
    ],
  };
}
