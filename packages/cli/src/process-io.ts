import { type CommandIo, EXIT_FAILURE } from "./command-io.js";

const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Returns the input, output and signals of this process. */
export function processIo(): CommandIo {
  const interrupt = new AbortController();
  const outputClosed = new AbortController();
  // It is not an error when the reader of stdout goes away, as `head` does.
  process.stdout.on("error", () => outputClosed.abort());
  process.stderr.on("error", () => {});
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(EXIT_FAILURE);
      interrupt.abort();
    });
  }
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    stderr: process.stderr,
    isTerminal: process.stdout.isTTY === true,
    readInput: (maxBytes) => readAll(process.stdin, maxBytes),
    interrupt: interrupt.signal,
    outputClosed: outputClosed.signal,
    onHangup(listener) {
      process.on("SIGHUP", listener);
      return () => process.off("SIGHUP", listener);
    },
  };
}

async function readAll(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > maxBytes) throw new RangeError(`more than ${maxBytes} bytes on stdin`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
