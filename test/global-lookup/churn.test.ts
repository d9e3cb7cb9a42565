import { coap } from "@tributary/coap-transport";
import { afterAll, expect, test, vi } from "vitest";
import { type GlobalNode, type PoolPorts, poolPorts, startGlobalNode } from "./global-nodes.js";
import { startPoisoner } from "./poisoner.js";

/** Members of the pool; the test takes minutes, so it runs only where this is set. */
const COUNT = Number(process.env.GLOBAL_LOOKUP_MEMBERS ?? 0);
/** Each name is looked up once, so that no result is a cached one. */
const NAMES_PER_NODE = 30;
const WAIT = { timeout: 120_000, interval: 200 };
const LOOKUPS = NAMES_PER_NODE * COUNT;
const ends: (() => unknown)[] = [];

afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test.runIf(COUNT > 0)(
  "with GLOBAL_LOOKUP_MEMBERS=20: a third of the members is killed during lookups, others join, and a quarter of the pool lies",
  async () => {
    const ports = await poolPorts();
    const nodes = await startNodes(ports);
    const names = nodes.map((_, at) => Array.from({ length: NAMES_PER_NODE }, (_, index) => `ep-${at}-${index}`));
    await Promise.all(nodes.map((node, at) => registerAll(node, names[at] as string[])));
    const liars = await Promise.all(
      Array.from({ length: Math.ceil(COUNT / 3) }, (_, index) => startPoisoner(names.flat(), { index, ports, ends })),
    );

    const killed = new Set([...nodes.keys()].filter((at) => at % 3 === 2));
    const times: { atMs: number; isAlive: boolean; code: string; found: boolean; toLiars: number }[] = [];
    let killing: Promise<unknown> = Promise.resolve();
    for (let index = 0; index < LOOKUPS; index++) {
      if (index === Math.floor(LOOKUPS / 3)) killing = killAndJoin(nodes, killed, { ports, ends });
      const owner = index % COUNT;
      const askers = [...nodes.keys()].filter((at) => !killed.has(at) && at !== owner);
      const asker = askers[(index + Math.floor(index / COUNT)) % askers.length] as number;
      const name = names[owner]?.[Math.floor(index / COUNT)] as string;
      const liarsBefore = requestsTo(liars);
      const startMs = performance.now();
      const response = await coap.get(`${nodes[asker]?.uri}/rd-lookup/ep?ep=${name}`);
      const isAlive = !killed.has(owner) || index < Math.floor(LOOKUPS / 3);
      const atMs = performance.now() - startMs;
      const { code } = response;
      const found = code === "2.05" && response.text() !== "";
      times.push({ atMs, isAlive, code, found, toLiars: requestsTo(liars) - liarsBefore });
    }
    await killing;

    const alive = times.filter(({ isAlive }) => isAlive);
    const dead = times.filter(({ isAlive }) => !isAlive);
    // After each member has met the liars. Each of these lookups has one request to the RD that has the name.
    const late = alive.slice(-Math.floor(alive.length / 3));
    const lies = late.reduce((sum, { toLiars }) => sum + toLiars, 0);
    const shareOfLiars = lies / (lies + late.length);
    process.stdout.write(
      `${COUNT} members, ${killed.size} killed: ${alive.filter(({ found }) => found).length} of ${alive.length} lookups of living RDs found, ` +
        `p50 ${percentile(alive, 0.5)} ms, p99 ${percentile(alive, 0.99)} ms; ${dead.length} of dead ones, at most ${percentile(dead, 1)} ms; ` +
        `${Math.round(1000 * shareOfLiars) / 10} % of the requests of the last ${late.length} lookups of living RDs went to ${liars.length} liars\n`,
    );
    expect(alive.filter(({ found }) => !found)).toEqual([]);
    expect(percentile(alive, 0.99)).toBeLessThanOrEqual(1000);
    expect(shareOfLiars).toBeLessThan(0.1);
    expect(new Set(dead.map(({ code }) => code))).toEqual(new Set(["5.04"]));
    expect(percentile(dead, 1)).toBeLessThanOrEqual(2000);
  },
  600_000,
);

async function startNodes(ports: PoolPorts): Promise<GlobalNode[]> {
  const nodes: GlobalNode[] = [];
  // A few at a time: each is a process of its own.
  for (let at = 0; at < COUNT; at += 4)
    nodes.push(
      ...(await Promise.all(Array.from({ length: Math.min(4, COUNT - at) }, (_, index) => start(at + index, ports)))),
    );
  await vi.waitFor(async () => {
    for (const node of nodes) expect((await node.status()).global.published).toBe(true);
  }, WAIT);
  return nodes;
}

async function start(at: number, ports: PoolPorts): Promise<GlobalNode> {
  const node = await startGlobalNode(at, ports, { timeout: "1.5s" });
  ends.push(() => node.kill("SIGKILL"));
  return node;
}

async function registerAll(node: GlobalNode, names: readonly string[]): Promise<void> {
  for (const name of names) expect((await coap.post(`${node.uri}/rd?ep=${name}`)).code).toBe("2.01");
  await vi.waitFor(async () => expect((await node.status()).global.announced).toBe(names.length), WAIT);
}

async function killAndJoin(
  nodes: readonly GlobalNode[],
  killed: ReadonlySet<number>,
  { ports }: { readonly ports: PoolPorts; readonly ends: (() => unknown)[] },
): Promise<void> {
  await Promise.all([...killed].map((at) => nodes[at]?.kill("SIGKILL")));
  for (let index = 0; index < 3; index++) await start(60 + index, ports);
}

function requestsTo(liars: readonly { requests(): number }[]): number {
  return liars.reduce((sum, { requests }) => sum + requests(), 0);
}

function percentile(times: readonly { readonly atMs: number }[], share: number): number {
  const sorted = times.map(({ atMs }) => atMs).sort((one, other) => one - other);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
}
