import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { jetstream, jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { openCoapClient } from "@tributary/coap-transport";
import { systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { atLeast, atMost, type Findings, ms, percentile, rate, ratio, type Tell } from "./figures.ts";
import { load } from "./load.ts";
import type { MeasuredProcess } from "./measured-process.ts";
import { type NatsServers, startNatsServers } from "./nats-servers.ts";
import { startNode } from "./node-process.ts";
import { registrationDatagram, registrationOf } from "./workload.ts";

const REGISTRATIONS = Number(process.env.SHARED_REGISTRATIONS ?? 100_000);
const WINDOW = 64;
const CHANGES = 500;
const AWAY_MS = 60_000;
const AWAY_CHANGES = 1000;
const STREAM = "tributary";

/** RD instances that share one directory over three NATS servers, beside what the servers do by themselves. */
export async function measureSharedAuthority(tell: Tell): Promise<Findings> {
  const servers = await startNatsServers();
  try {
    const one = await startInstance(servers, "rd-1");
    const two = await startInstance(servers, "rd-2");
    const requests = Array.from({ length: REGISTRATIONS }, (_, index) => registrationDatagram(index));
    const fresh = await load(one, requests, { window: WINDOW, warmUpMs: 1000, measureMs: 4000 });
    const engine = await engineRates(servers.uris);
    const ratioOfEngine = fresh.rate / engine.single;
    tell(
      `  registrations: ${rate(fresh.rate)}/s, the servers alone ${rate(engine.single)}/s, in groups ${rate(engine.grouped)}/s, ratio ${ratio(ratioOfEngine)}, CPU each ${rate(fresh.cpuMicrosEach)} µs`,
    );
    const visible = await changesUntilVisible(one, two);
    const [p50, p99] = [percentile(visible, 0.5), percentile(visible, 0.99)];
    tell(`  change visible at another instance: p50 ${ms(p50)} ms, p99 ${ms(p99)} ms`);
    for (let first = 0; first < REGISTRATIONS; first += REGISTRATIONS / 10)
      await load(one, requests.slice(first, first + REGISTRATIONS / 10), {
        window: WINDOW,
        warmUpMs: 0,
        measureMs: REGISTRATIONS / 25,
      });
    const back = await catchUp(one, two);
    tell(`  back after ${AWAY_MS / 1000} s and ${AWAY_CHANGES} changes: ${ms(back)} ms`);
    const startMs = performance.now();
    const three = await startInstance(servers, "rd-3");
    const startedMs = performance.now() - startMs;
    const held = await messagesOf(servers.uris);
    const memory = [three.residentBytes(), servers.residentBytes()].map(megabytes).join(", ");
    tell(`  start with ${held}: ${ms(startedMs)} ms; memory of an instance, of a server: ${memory} MB`);
    await Promise.all([one, two, three].map((instance) => instance.stop()));
    return {
      tables: [
        {
          title: "Shared authority",
          about: `Instances of an RD over three NATS servers that flush every write; registrations of three links, ${WINDOW} under way. The servers alone take messages of the same size and with the same expectations from one client, as many under way: one by one, and all that are under way as one group, which is what instances do.`,
          columns: ["", "measured"],
          rows: [
            ["registrations a second at one instance", rate(fresh.rate)],
            ["the servers alone, messages a second", rate(engine.single)],
            [`the servers alone, in groups of ${WINDOW}`, rate(engine.grouped)],
            ["CPU of the instance for each registration, µs", rate(fresh.cpuMicrosEach)],
            ["change visible at another instance, p50 and p99, ms", `${ms(p50)}, ${ms(p99)}`],
            [`catching up after ${AWAY_MS / 1000} s and ${AWAY_CHANGES} changes, ms`, ms(back)],
            [`start with ${held} registrations, ms`, ms(startedMs)],
            ["memory of an instance, of a server, MB", memory],
          ],
        },
      ],
      targets: [
        atLeast("registrations in a shared directory, of what the servers do", 0.5, ratioOfEngine),
        atMost("change at one instance visible at another, p99", 50, p99, "ms"),
        atMost(`start of an instance with ${held} registrations`, 15, startedMs / 1000, "s"),
      ],
      plots: [],
    };
  } finally {
    await servers.stop();
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function startInstance({ uris }: NatsServers, name: string): Promise<MeasuredProcess> {
  return startNode({
    name,
    registration: { store: { nats: { servers: uris, stream: STREAM, replicas: uris.length } } },
  });
}

/** Messages a second that the servers take, from a client that does nothing else. */
async function engineRates(uris: readonly string[]): Promise<{ readonly single: number; readonly grouped: number }> {
  const connection = await connect({ servers: [...uris], noAsyncTraces: true });
  try {
    const js = jetstream(connection);
    const jsm = await jetstreamManager(connection);
    const { config } = await jsm.streams.info(STREAM);
    // A stream of the same settings, for other subjects.
    await jsm.streams.add({ ...config, name: "engine", subjects: ["engine.*"] });
    const payload = new TextEncoder().encode(JSON.stringify({ v: 1, ...registrationOf(0, 0) }));
    let sent = 0;
    const publish = async (): Promise<number> => {
      const fields = headers();
      fields.set("Tributary-Kind", "put");
      const options = { headers: fields, msgID: randomUUID(), ttl: "180060s", expect: { lastSubjectSequence: 0 } };
      await js.publish(`engine.${sent++}`, payload, options);
      return 1;
    };
    const publishGroup = async (): Promise<number> => {
      const batch = randomUUID();
      for (let at = 1; at <= WINDOW; at++) {
        const fields = headers();
        fields.set("Tributary-Kind", "put");
        fields.set("Nats-Msg-Id", randomUUID());
        fields.set("Nats-TTL", "180060s");
        fields.set("Nats-Expected-Last-Subject-Sequence", "0");
        fields.set("Nats-Batch-Id", batch);
        fields.set("Nats-Batch-Sequence", String(at));
        if (at < WINDOW) connection.publish(`engine.${sent++}`, payload, { headers: fields });
        else {
          fields.set("Nats-Batch-Commit", "1");
          const taken = await connection.request(`engine.${sent++}`, payload, { headers: fields, timeout: 10_000 });
          if (taken.json<{ count?: number }>().count !== WINDOW) throw new Error(taken.string());
        }
      }
      return WINDOW;
    };
    const single = await ratePerSecond(WINDOW, publish);
    const grouped = await ratePerSecond(1, publishGroup);
    await jsm.streams.delete("engine");
    return { single, grouped };
  } finally {
    await connection.close();
  }
}

/** What so many workers do in a second; `work` resolves with how much it has done. */
async function ratePerSecond(workers: number, work: () => Promise<number>): Promise<number> {
  let done = 0;
  let isOver = false;
  const all = Array.from({ length: workers }, async () => {
    while (!isOver) done += await work();
  });
  await delay(1000);
  const [before, startMs] = [done, performance.now()];
  await delay(4000);
  const result = (done - before) / ((performance.now() - startMs) / 1000);
  isOver = true;
  await Promise.all(all);
  return result;
}

async function messagesOf(uris: readonly string[]): Promise<number> {
  const connection = await connect({ servers: [...uris] });
  try {
    const info: StreamInfo = await (await jetstreamManager(connection)).streams.info(STREAM);
    return info.state.messages - 1;
  } finally {
    await connection.close();
  }
}

/** Registers at one instance, and asks the other one until it shows it. */
async function changesUntilVisible(one: MeasuredProcess, two: MeasuredProcess): Promise<number[]> {
  const client = await openCoapClient({ env: systemEnvironment(silentLogger) }, {});
  try {
    const latencies: number[] = [];
    for (let index = 0; index < CHANGES; index++) {
      await register(client, one, `changed-${index}`);
      const answeredMs = performance.now();
      await untilShown(client, two, `changed-${index}`);
      latencies.push(performance.now() - answeredMs);
    }
    return latencies;
  } finally {
    await client.close();
  }
}

/** Stops an instance while registrations change, and lets it go on: ms until it shows the last one. */
async function catchUp(one: MeasuredProcess, two: MeasuredProcess): Promise<number> {
  const client = await openCoapClient({ env: systemEnvironment(silentLogger) }, {});
  try {
    two.signal("SIGSTOP");
    for (let index = 0; index < AWAY_CHANGES; index++) {
      await register(client, one, `away-${index}`);
      await delay(AWAY_MS / AWAY_CHANGES);
    }
    const startMs = performance.now();
    two.signal("SIGCONT");
    await untilShown(client, two, `away-${AWAY_CHANGES - 1}`);
    return performance.now() - startMs;
  } finally {
    await client.close();
  }
}

type Client = Awaited<ReturnType<typeof openCoapClient>>;

async function register(client: Client, { port }: MeasuredProcess, ep: string): Promise<void> {
  await client.request({
    method: 2,
    uri: `coap://127.0.0.1:${port}/rd`,
    query: [`ep=${ep}`, "base=coap://changed.example"],
    contentFormat: 40,
    payload: Buffer.from('</t>;rt="changed"'),
  });
}

async function untilShown(client: Client, { port }: MeasuredProcess, ep: string): Promise<void> {
  for (;;) {
    const uri = `coap://127.0.0.1:${port}/rd-lookup/ep`;
    const { payload } = await client.request({ method: 1, uri, query: [`ep=${ep}`] }, { timeoutMs: 60_000 });
    if (payload.length > 0) return;
  }
}
