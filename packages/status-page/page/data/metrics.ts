/** A sample of the Prometheus text format. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples by name of the metric. */
export type MetricSamples = ReadonlyMap<string, readonly Sample[]>;

/** Parses the Prometheus text format as far as this node writes it; lines of other forms are left out. Pure. */
export function parseMetrics(text: string): MetricSamples {
  const samples = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const list = samples.get(name) ?? [];
    list.push({ labels: parseLabels(labels), value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) });
    samples.set(name, list);
  }
  return samples;
}

function parseLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value.replace(/\\(.)/g, unescaped)]));
}

function unescaped(_all: string, character: string): string {
  return character === "n" ? "\n" : character;
}

/** Sum of the samples of a metric that `isWanted` accepts. Pure. */
export function sumOf(
  samples: MetricSamples,
  name: string,
  isWanted: (sample: Sample) => boolean = () => true,
): number {
  return (samples.get(name) ?? []).filter(isWanted).reduce((sum, { value }) => sum + value, 0);
}

/** Sums of the samples of a metric by one of its labels. Pure. */
export function sumsBy(samples: MetricSamples, name: string, label: string): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { labels, value } of samples.get(name) ?? []) {
    const key = labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return sums;
}

/**
 * Estimates quantiles of what a histogram counted between two readings, by linear interpolation within a bucket; null: nothing was
 * counted. Pure.
 */
export function quantilesBetween(
  before: MetricSamples,
  after: MetricSamples,
  name: string,
  quantiles: readonly number[],
): (number | null)[] {
  const earlier = sumsBy(before, `${name}_bucket`, "le");
  const counts = [...sumsBy(after, `${name}_bucket`, "le")]
    .map(([le, value]) => ({
      le: le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le),
      count: value - (earlier.get(le) ?? 0),
    }))
    .sort((one, other) => one.le - other.le);
  const total = counts.at(-1)?.count ?? 0;
  return quantiles.map((quantile) => (total <= 0 ? null : quantileOf(counts, quantile * total)));
}

function quantileOf(counts: readonly { readonly le: number; readonly count: number }[], rank: number): number {
  let lower = { le: 0, count: 0 };
  for (const upper of counts) {
    if (upper.count >= rank) {
      if (!Number.isFinite(upper.le)) return lower.le;
      const share = upper.count === lower.count ? 1 : (rank - lower.count) / (upper.count - lower.count);
      return lower.le + (upper.le - lower.le) * share;
    }
    lower = upper;
  }
  return lower.le;
}
