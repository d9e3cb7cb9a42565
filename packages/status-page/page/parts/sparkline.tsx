import type { JSX } from "preact";

const WIDTH = 120;
const HEIGHT = 28;
/** Values that are drawn: two minutes. */
const SHOWN = 60;

/** How a number went, without scales; the number itself stands beside it. */
export function Sparkline({ values }: { readonly values: readonly number[] }): JSX.Element | null {
  const shown = values.slice(-SHOWN);
  if (shown.length < 2) return null;
  const low = Math.min(...shown);
  const range = Math.max(...shown) - low;
  const points = shown.map((value, at) => {
    const x = WIDTH - (shown.length - 1 - at) * (WIDTH / (SHOWN - 1));
    const y = range === 0 ? HEIGHT / 2 : HEIGHT - 2 - ((value - low) / range) * (HEIGHT - 4);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}
