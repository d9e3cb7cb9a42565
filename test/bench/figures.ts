/** Figures as text, in a file and as plots. */
export interface Table {
  readonly title: string;
  /** What was done, in a sentence or two. */
  readonly about: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** What was set out to be reached, and what was. */
export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly measured: string;
  readonly isMet: boolean;
}

/** Points of one plot: for each series values of y over x. */
export interface Plot {
  readonly file: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly isLogX: boolean;
  readonly isLogY: boolean;
  readonly points: readonly { readonly series: string; readonly x: number; readonly y: number }[];
}

/** What one part of the benchmark found. */
export interface Findings {
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  readonly plots: readonly Plot[];
}

export type Tell = (line: string) => void;

export const ratio = (value: number): string => value.toFixed(2);
export const rate = (value: number): string => (value < 100 ? value.toFixed(1) : String(Math.round(value)));
export const ms = (value: number): string => (value < 10 ? value.toFixed(2) : value.toFixed(0));

/** The value below which a share of them lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function atLeast(name: string, wanted: number, measured: number): Target {
  return {
    name,
    wanted: `≥ ${wanted}`,
    measured: measured >= 100 ? String(Math.round(measured)) : ratio(measured),
    isMet: measured >= wanted,
  };
}

export function atMost(name: string, wanted: number, measured: number, unit: string): Target {
  const text = measured >= 100 ? String(Math.round(measured)) : ratio(measured);
  return { name, wanted: `≤ ${wanted} ${unit}`, measured: `${text} ${unit}`, isMet: measured <= wanted };
}
