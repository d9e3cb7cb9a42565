// A process that asks as fast as it is answered, with a fixed number of requests under way, and says how that went.
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";

/** What to do, on the command line as JSON. */
export interface LoadPlan {
  readonly host: string;
  readonly port: number;
  /** File with the datagrams to send, one a line, in hexadecimal; message id (bytes 2, 3) and token (4 to 7) are replaced. */
  readonly requests: string;
  /** Requests under way at once, over all sockets. */
  readonly window: number;
  readonly sockets: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What came of it, as a line of JSON on stdout. */
export interface LoadResult {
  readonly answers: number;
  /** Requests given up after a second. */
  readonly lost: number;
  /** Answers of another class than 2.xx. */
  readonly failed: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of this process in the measured time, s, without that in which it only stayed awake. */
  readonly cpuSeconds: number;
  readonly answerBytes: number;
}

const STALL_MS = 1000;
/**
 * Sending to a process that sleeps includes waking it, which clients on other machines do not cost a server: so long after
 * an answer this one stays awake, ms.
 */
const AWAKE_MS = 0.5;
/** Latencies in steps of 10 µs, up to a second. */
const STEP_MS = 0.01;
const STEPS = 100_000;

class Generator {
  readonly #plan: LoadPlan;
  readonly #requests: readonly Buffer[];
  readonly #sockets: Socket[] = [];
  readonly #sentAtMs: Float64Array;
  readonly #latencies = new Uint32Array(STEPS + 1);
  #next = 0;
  #isMeasuring = false;
  #answers = 0;
  #failed = 0;
  #lost = 0;
  #answerBytes = 0;
  #isAwake = false;
  #hasHeard = false;
  #heardAtMs = 0;
  #turnAtMs = 0;
  /** Time spent waiting without sleeping. */
  #idleMs = 0;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    this.#requests = readFileSync(plan.requests, "utf8")
      .trim()
      .split("\n")
      .map((line) => Buffer.from(line, "hex"));
    this.#sentAtMs = new Float64Array(plan.window);
  }

  async run(): Promise<LoadResult> {
    const { window, warmUpMs, measureMs } = this.#plan;
    await this.#open();
    for (let slot = 0; slot < window; slot++) this.#send(slot);
    const watch = setInterval(() => this.#giveUpLost(), STALL_MS / 4);
    await delay(warmUpMs);
    const cpu = process.cpuUsage();
    const idleBeforeMs = this.#idleMs;
    const startMs = performance.now();
    this.#isMeasuring = true;
    await delay(measureMs);
    this.#isMeasuring = false;
    const seconds = (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    clearInterval(watch);
    for (const socket of this.#sockets) socket.close();
    return {
      answers: this.#answers,
      lost: this.#lost,
      failed: this.#failed,
      seconds,
      p50Ms: this.#percentile(0.5),
      p99Ms: this.#percentile(0.99),
      cpuSeconds: (user + system) / 1e6 - (this.#idleMs - idleBeforeMs) / 1000,
      answerBytes: this.#answers === 0 ? 0 : Math.round(this.#answerBytes / this.#answers),
    };
  }

  async #open(): Promise<void> {
    const { host, port, sockets } = this.#plan;
    for (let index = 0; index < sockets; index++) {
      const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
      await new Promise<void>((resolve) => socket.connect(port, host, resolve));
      socket.setRecvBufferSize(4_194_304);
      socket.on("message", (datagram) => this.#receive(datagram));
      socket.on("error", () => {});
      this.#sockets.push(socket);
    }
  }

  /** The token is the slot and a number that makes late answers to earlier requests of the slot known. */
  #send(slot: number): void {
    const turn = this.#next++;
    const request = this.#requests[turn % this.#requests.length] as Buffer;
    const datagram = Buffer.allocUnsafe(request.length);
    request.copy(datagram);
    datagram.writeUInt16BE((turn / this.#sockets.length) & 0xffff, 2);
    datagram.writeUInt16BE(slot, 4);
    datagram.writeUInt16BE(turn & 0xffff, 6);
    this.#sentAtMs[slot] = performance.now();
    this.#turns[slot] = turn & 0xffff;
    (this.#sockets[turn % this.#sockets.length] as Socket).send(datagram);
  }

  readonly #turns = new Uint32Array(65_536);

  readonly #stayAwake = (): void => {
    const nowMs = performance.now();
    if (this.#hasHeard) this.#heardAtMs = nowMs;
    else this.#idleMs += nowMs - this.#turnAtMs;
    this.#hasHeard = false;
    this.#turnAtMs = nowMs;
    this.#isAwake = nowMs - this.#heardAtMs < AWAKE_MS;
    if (this.#isAwake) setImmediate(this.#stayAwake);
  };

  #receive(datagram: Buffer): void {
    this.#hasHeard = true;
    if (!this.#isAwake) {
      this.#isAwake = true;
      this.#turnAtMs = performance.now();
      setImmediate(this.#stayAwake);
    }
    if (datagram.length < 8) return;
    const slot = datagram.readUInt16BE(4);
    if (slot >= this.#plan.window || this.#turns[slot] !== datagram.readUInt16BE(6)) return;
    if (this.#isMeasuring) {
      const tookMs = performance.now() - (this.#sentAtMs[slot] as number);
      const step = Math.min(STEPS, Math.floor(tookMs / STEP_MS));
      this.#latencies[step] = (this.#latencies[step] ?? 0) + 1;
      this.#answers++;
      this.#answerBytes += datagram.length;
      if ((datagram[1] as number) >> 5 !== 2) this.#failed++;
    }
    this.#send(slot);
  }

  #giveUpLost(): void {
    const nowMs = performance.now();
    for (let slot = 0; slot < this.#plan.window; slot++) {
      if (nowMs - (this.#sentAtMs[slot] as number) < STALL_MS) continue;
      if (this.#isMeasuring) this.#lost++;
      this.#send(slot);
    }
  }

  #percentile(share: number): number {
    let left = this.#answers * share;
    for (let step = 0; step <= STEPS; step++) {
      left -= this.#latencies[step] as number;
      if (left <= 0) return (step + 1) * STEP_MS;
    }
    return STEPS * STEP_MS;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (process.argv[2] !== undefined) {
  const result = await new Generator(JSON.parse(process.argv[2]) as LoadPlan).run();
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
