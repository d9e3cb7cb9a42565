/** What a node said of itself at one moment. */
export interface Sample {
  /** Since its start. */
  readonly atMs: number;
  /** Heap and buffers that are in use, after a garbage collection. */
  readonly liveBytes: number;
  readonly rss: number;
  /** 99th percentile and longest delay of the event loop since the sample before. */
  readonly delayMs: number;
  readonly longestMs: number;
}

export interface Trend {
  /** Slope of the line through the samples after warm-up, by least squares. */
  readonly liveBytesPerMinute: number;
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly rss: number;
  readonly delayMs: number;
  readonly longestMs: number;
  readonly samples: number;
}

const MINUTE_MS = 60_000;

/** The trend of the samples later than `warmUpMs` after the first. @throws when there are fewer than two. Pure. */
export function fitTrend(samples: readonly Sample[], warmUpMs: number): Trend {
  const startMs = (samples[0]?.atMs ?? 0) + warmUpMs;
  const kept = samples.filter(({ atMs }) => atMs >= startMs);
  const [first] = kept;
  const last = kept.at(-1);
  if (first === undefined || last === undefined || kept.length < 2)
    throw new Error(`${kept.length} samples after warm-up are too few for a trend`);
  const meanMs = mean(kept.map(({ atMs }) => atMs));
  const meanBytes = mean(kept.map(({ liveBytes }) => liveBytes));
  let covariance = 0;
  let variance = 0;
  for (const { atMs, liveBytes } of kept) {
    covariance += (atMs - meanMs) * (liveBytes - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  return {
    liveBytesPerMinute: (covariance / variance) * MINUTE_MS,
    firstBytes: first.liveBytes,
    lastBytes: last.liveBytes,
    rss: last.rss,
    delayMs: Math.max(...kept.map(({ delayMs }) => delayMs)),
    longestMs: Math.max(...kept.map(({ longestMs }) => longestMs)),
    samples: kept.length,
  };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
