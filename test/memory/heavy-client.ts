import { connect, type Socket } from "node:net";

/** What answers were, by code: `2.01`, `5.03`, … */
export type CodeCounts = Record<string, number>;

const PIPELINED = 8;
const CSM = Buffer.from([0x00, 0xe1]);
const POST = 0x02;
/** How long a client rests after a refusal: it is not polite, but not faster than the machine that runs both. */
const REST_MS = 20;
const PAYLOAD_LINKS = 4000;

/** The links of a registration: 4 000 of them in 64 000 bytes, shared with no other registration. */
export function heavyLinks(number: number): string {
  const name = number.toString(16).padStart(8, "0");
  return Array.from({ length: PAYLOAD_LINKS }, (_, at) => `</${name}${at.toString(16).padStart(4, "0")}>`).join(",");
}

/**
 * Registers as much as it can over one TCP connection (RFC 8323) from an address of its own: registrations of 64 kB with 4 000
 * links, eight under way at once, until it is closed.
 */
export class HeavyClient {
  readonly codes: CodeCounts = {};
  readonly #socket: Socket;
  readonly #nextNumber: () => number;
  #received = Buffer.alloc(0);
  #isClosed = false;
  /** Requests without a response yet. */
  #pending = 0;
  #isEnding = false;

  constructor(port: number, localAddress: string, nextNumber: () => number) {
    this.#nextNumber = nextNumber;
    this.#socket = connect({ host: "127.0.0.1", port, localAddress });
    this.#socket.on("data", (bytes) => this.#take(bytes));
    this.#socket.on("error", () => this.#close());
    this.#socket.on("close", () => this.#close());
    this.#socket.write(CSM);
    for (let count = 0; count < PIPELINED; count++) this.#register();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends nothing more, and closes the connection when every request has its response: none is taken after that. */
  end(): void {
    this.#isEnding = true;
    if (this.#pending === 0) this.#close();
  }

  #close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #register(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#pending++;
    const number = this.#nextNumber();
    const options = Buffer.concat([
      option(11, "rd"),
      Buffer.from([0x11, 40]),
      option(3, `ep=heavy-${number}`),
      option(0, "lt=86400"),
    ]);
    const payload = Buffer.from(heavyLinks(number));
    const length = options.length + 1 + payload.length;
    const head = Buffer.alloc(5);
    // Lengths from 65 805 on take four bytes; below, two (RFC 8323 section 3.2).
    const isLong = length >= 65_805;
    head[0] = (isLong ? 15 : 14) << 4;
    if (isLong) head.writeUInt32BE(length - 65_805, 1);
    else head.writeUInt16BE(length - 269, 1);
    const frame = [head.subarray(0, isLong ? 5 : 3), Buffer.from([POST]), options, Buffer.from([0xff]), payload];
    this.#socket.write(Buffer.concat(frame));
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const frame = readFrame(this.#received);
      if (frame === null) return;
      this.#received = this.#received.subarray(frame.size);
      // Signals are of class 7.
      if (frame.code >> 5 === 7) continue;
      const code = `${frame.code >> 5}.${String(frame.code & 31).padStart(2, "0")}`;
      this.codes[code] = (this.codes[code] ?? 0) + 1;
      this.#pending--;
      if (this.#isEnding) this.end();
      else if (code === "2.01") this.#register();
      else setTimeout(() => this.#register(), REST_MS);
    }
  }
}

/** An option whose number is `delta` above the one before it. */
function option(delta: number, value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = bytes.length < 13 ? [(delta << 4) | bytes.length] : [(delta << 4) | 13, bytes.length - 13];
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** The first frame of what was received, all of whose tokens are empty; null: it is not all there. */
function readFrame(bytes: Buffer): { readonly code: number; readonly size: number } | null {
  const first = bytes[0];
  if (first === undefined) return null;
  const nibble = first >> 4;
  const extra = nibble < 13 ? 0 : nibble === 13 ? 1 : nibble === 14 ? 2 : 4;
  if (bytes.length < 2 + extra) return null;
  const base = nibble < 13 ? nibble : nibble === 13 ? 13 : nibble === 14 ? 269 : 65_805;
  const length = nibble < 13 ? base : base + bytes.readUIntBE(1, extra);
  const size = 1 + extra + 1 + (first & 15) + length;
  return bytes.length < size ? null : { code: bytes[1 + extra] as number, size };
}
