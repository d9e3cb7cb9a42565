/**
 * `endpoints.ts PLAN`: a few hundred endpoints, each with a habit, that keep themselves registered as the draft's section 4.4.1
 * says: an RD that is silent is passed over for the next, one that lost the registration gets it again. The journal goes to stdout.
 * SIGUSR2: settle, that is stop moving, be acknowledged once more, then read every registration. SIGTERM: end.
 */
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointResponse } from "@tributary/cli";
import { createEndpointClient } from "@tributary/cli";
import { seededRandom } from "@tributary/runtime/testing";
import type { JournalEntry } from "./journal.ts";

export interface EndpointsPlan {
  readonly rds: readonly { readonly name: string; readonly uri: string }[];
  readonly count: number;
  readonly seed: number;
  /** Within this time every sleeper has registered, ms. */
  readonly sleepersWithinMs: number;
}

type Habit = "steady" | "mover" | "changer" | "leaver" | "sleeper";

const HABITS: readonly Habit[] = [
  ...Array.from({ length: 10 }, (): Habit => "steady"),
  ...Array.from({ length: 4 }, (): Habit => "mover"),
  "changer",
  "changer",
  "leaver",
  "leaver",
  "sleeper",
  "sleeper",
];
const LIFETIMES_S = [6, 10, 20, 60];
const SLEEPER_LIFETIME_S = 86_400;
const TIMEOUT_MS = 5000;
/** Endpoints behind one socket. */
const PER_CLIENT = 50;
/** A sleeper's registrations must not be closer together than ages can tell. */
const SLEEPER_PAUSE_MS = 2000;
/** Endpoints settle, and are read, a few at once, as a site would not come back all in one instant. */
const SETTLE_SPREAD_MS = 1500;

const plan = JSON.parse(process.argv[2] ?? "") as EndpointsPlan;
const settling = new AbortController();
const ending = new AbortController();
for (const { signal } of [settling, ending]) setMaxListeners(0, signal);

function write(entry: JournalEntry): void {
  process.stdout.write(`${JSON.stringify(entry)}\n`);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

function hrefOf(origin: string, { locationPath }: EndpointResponse): string {
  return `${origin}/${locationPath.join("/")}`;
}

class Endpoint {
  readonly name: string;
  readonly #index: number;
  readonly #habit: Habit;
  readonly #random: () => number;
  readonly #ltS: number;
  readonly #client: ReturnType<typeof createEndpointClient>;
  #rd: number;
  #href: string | null = null;
  #edition = 1;
  isSettled = false;
  #isAway = false;

  constructor(index: number, client: ReturnType<typeof createEndpointClient>) {
    this.#index = index;
    this.#client = client;
    this.#random = seededRandom(plan.seed * 7919 + index);
    this.#habit = HABITS[index % HABITS.length] as Habit;
    this.name = `${this.#habit}${index}`;
    this.#ltS =
      this.#habit === "sleeper"
        ? SLEEPER_LIFETIME_S
        : (LIFETIMES_S[Math.floor(this.#random() * LIFETIMES_S.length)] as number);
    this.#rd = Math.floor(this.#random() * plan.rds.length);
  }

  async live(): Promise<void> {
    // Sleepers register all along: those of the beginning may be lost early.
    const withinMs = this.#habit === "sleeper" ? plan.sleepersWithinMs : 1500;
    await pause(this.#random() * withinMs, settling.signal);
    while (!settling.signal.aborted) {
      if (this.#href === null) await this.#registerSomewhere();
      else if (this.#habit === "sleeper") break;
      else await this.#followHabit();
    }
    await this.#settle();
  }

  /** The registration as it is at its RD. */
  async read(): Promise<void> {
    if (this.#href === null) return;
    for (;;) {
      const response = await this.#exchange("GET", this.#href, []);
      if (response === null) continue;
      const edition = /;ed="(\d+)"/.exec(new TextDecoder().decode(response.payload))?.[1];
      write({ kind: "read", ep: this.name, href: this.#href, code: response.code, edition: Number(edition ?? 0) });
      return;
    }
  }

  async #settle(): Promise<void> {
    if (this.#habit === "sleeper" || this.#isAway) {
      // One that never found an RD goes on trying; one that is away stays away.
      while (this.#href === null && !this.#isAway && !ending.signal.aborted) await this.#registerSomewhere();
      this.isSettled = true;
      return;
    }
    await pause(this.#random() * SETTLE_SPREAD_MS, ending.signal);
    while (!ending.signal.aborted) {
      if (this.#href === null) {
        this.isSettled = (await this.#registerSomewhere()) || this.isSettled;
        continue;
      }
      if (await this.#renew(this.isSettled)) {
        this.isSettled = true;
        await pause(this.#ltS * 1000 * (0.3 + 0.2 * this.#random()), ending.signal);
      }
    }
  }

  async #followHabit(): Promise<void> {
    const [shortMs, longMs] =
      this.#habit === "steady" ? [0.4 * this.#ltS * 1000, 0.7 * this.#ltS * 1000] : [1500, 5000];
    const capMs = 0.7 * this.#ltS * 1000;
    await pause(Math.min(capMs, shortMs + this.#random() * (longMs - shortMs)), settling.signal);
    if (settling.signal.aborted) return;
    const isInMood = this.#random() < 0.6;
    if (!isInMood || this.#habit === "steady") {
      await this.#renew(false);
      return;
    }
    if (this.#habit === "mover") this.#nextRd();
    if (this.#habit === "changer") this.#edition++;
    if (this.#habit === "leaver") await this.#leave();
    else await this.#register();
  }

  async #leave(): Promise<void> {
    this.#isAway = true;
    if (this.#random() < 0.5) await this.#request("remove", "DELETE", this.#href as string, []);
    else write({ kind: "left", atMs: Date.now(), ep: this.name });
    this.#href = null;
    await pause(2000 + this.#random() * 8000, settling.signal);
    if (!settling.signal.aborted) this.#isAway = false;
  }

  async #registerSomewhere(): Promise<boolean> {
    if (await this.#register()) return true;
    this.#nextRd();
    await pause(this.#habit === "sleeper" ? SLEEPER_PAUSE_MS : 300 * this.#random(), ending.signal);
    return false;
  }

  async #register(): Promise<boolean> {
    const { uri } = plan.rds[this.#rd] as EndpointsPlan["rds"][number];
    const query = [`ep=${this.name}`, `lt=${this.#ltS}`, `base=coap://[2001:db8:e::${this.#index.toString(16)}]`];
    if (this.#index % 2 === 1) query.push("d=odd.example.com");
    const links = `</temp>;rt="ex.temperature";ed="${this.#edition}",</hum>;rt="ex.humidity";ed="${this.#edition}"`;
    const response = await this.#request("register", "POST", `${uri}/rd`, query, links);
    this.#href = response?.code === "2.01" ? hrefOf(uri, response) : null;
    return this.#href !== null;
  }

  async #renew(staysOnSilence: boolean): Promise<boolean> {
    const response = await this.#request("renew", "POST", this.#href as string, []);
    if (response?.code === "2.04") return true;
    if (response !== null || !staysOnSilence) this.#href = null;
    if (response === null && !staysOnSilence) this.#nextRd();
    return false;
  }

  #nextRd(): void {
    const others = plan.rds.length - 1;
    this.#rd = (this.#rd + 1 + Math.floor(this.#random() * others)) % plan.rds.length;
  }

  async #request(
    op: "register" | "renew" | "remove",
    method: "POST" | "DELETE",
    uri: string,
    query: readonly string[],
    payload?: string,
  ): Promise<EndpointResponse | null> {
    const sentMs = Date.now();
    const response = await this.#exchange(method, uri, query, payload);
    const { name: rd, uri: origin } = plan.rds[this.#rd] as EndpointsPlan["rds"][number];
    const known = op === "register" ? null : uri;
    const base = { sentMs, atMs: Date.now(), op, ep: this.name, rd, ltS: this.#ltS, edition: this.#edition };
    if (response === null) write({ kind: "silent", ...base, ...(known === null ? {} : { href: known }) });
    else if (response.code.startsWith("2.")) {
      write({ kind: "acknowledged", ...base, href: known ?? hrefOf(origin, response) });
    } else write({ kind: "refused", ...base, ...(known === null ? {} : { href: known }), code: response.code });
    return response;
  }

  async #exchange(
    method: "GET" | "POST" | "DELETE",
    uri: string,
    query: readonly string[],
    payload?: string,
  ): Promise<EndpointResponse | null> {
    const request = { method, uri, query, ...(payload === undefined ? {} : { payload }) };
    try {
      return await this.#client.request(request, { timeoutMs: TIMEOUT_MS, signal: ending.signal });
    } catch {
      // No answer, or the network says no: either way nobody knows whether it was done.
      await pause(100, ending.signal);
      return null;
    }
  }
}

const clients = Array.from({ length: Math.ceil(plan.count / PER_CLIENT) }, () => createEndpointClient());
const endpoints = Array.from(
  { length: plan.count },
  (_, index) => new Endpoint(index, clients[index % clients.length] as (typeof clients)[number]),
);
process.on("SIGUSR2", () => settling.abort());
process.on("SIGTERM", () => {
  settling.abort();
  ending.abort();
  for (const client of clients) client.close();
  process.exit(0);
});
for (const endpoint of endpoints) void endpoint.live();

while (!endpoints.every(({ isSettled }) => isSettled)) await sleep(50);
for (let start = 0; start < endpoints.length; start += 20)
  await Promise.all(endpoints.slice(start, start + 20).map((endpoint) => endpoint.read()));
write({ kind: "settled", atMs: Date.now() });
