import type { JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";

/** A line of a chart. */
export interface Line {
  readonly title: string;
  /** Null: unknown at that time. */
  readonly values: readonly (number | null)[];
}

interface ChartProps {
  readonly title: string;
  /** Seconds since the Unix epoch. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly empty: string;
}

const HEIGHT_PX = 200;
const AXIS_PX = 72;
const MAX_LINES = 6;

/** A chart over time. The table below it is its legend, and says the same in numbers. */
export function Chart({ title, times, lines, format, empty }: ChartProps): JSX.Element {
  const id = useId();
  const shown = lines.slice(0, MAX_LINES);
  const hasValues = shown.some(({ values }) => values.some((value) => value !== null));
  return (
    <figure class="card chart" aria-labelledby={id}>
      <figcaption id={id}>
        <h2>{title}</h2>
      </figcaption>
      {hasValues && times.length > 1 ? (
        <Canvas times={times} lines={shown} format={format} />
      ) : (
        <p class="muted">{times.length > 1 ? empty : "Collecting …"}</p>
      )}
      {hasValues ? (
        <table class="legend">
          <caption class="unseen">{title}</caption>
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">Line</span>
              </th>
              <th scope="col" class="number">
                now
              </th>
              <th scope="col" class="number">
                lowest
              </th>
              <th scope="col" class="number">
                highest
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ title: name, values }, at) => {
              const known = values.filter((value) => value !== null);
              const said = (value: number | null | undefined): string => (value == null ? "–" : format(value));
              return (
                <tr key={name}>
                  <th scope="row">
                    <span class={`swatch line-${at}`} aria-hidden="true" />
                    {name}
                  </th>
                  <td class="number">{said(values.at(-1))}</td>
                  <td class="number">{known.length === 0 ? "–" : format(Math.min(...known))}</td>
                  <td class="number">{known.length === 0 ? "–" : format(Math.max(...known))}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      ) : null}
    </figure>
  );
}

interface CanvasProps {
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
}

function Canvas({ times, lines, format }: CanvasProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data: uPlot.AlignedData = [[...times], ...lines.map(({ values }) => [...values])];
  const latest = useRef(data);
  latest.current = data;
  const names = lines.map(({ title }) => title).join("\n");
  // Colours and lines are fixed when a plot is made; a new one is made when they change.
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(element, names.split("\n"), format), latest.current, element);
    };
    draw();
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    scheme.addEventListener("change", draw);
    resize.observe(element);
    return () => {
      scheme.removeEventListener("change", draw);
      resize.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names, format]);
  useEffect(() => plot.current?.setData(data));
  return <div ref={place} class="plot" aria-hidden="true" />;
}

function optionsOf(element: HTMLElement, names: readonly string[], format: (value: number) => string): uPlot.Options {
  const axis = colourOf(element, "axis");
  const grid = { stroke: colourOf(element, "grid"), width: 1 };
  return {
    width: element.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      { stroke: axis, grid, ticks: grid, values: (_plot, splits) => splits.map(timeOf) },
      { stroke: axis, grid, ticks: grid, size: AXIS_PX, values: (_plot, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...names.map((label, at) => ({
        label,
        stroke: colourOf(element, `line-${at}`),
        width: 2,
        spanGaps: true,
        points: { show: false },
      })),
    ],
  };
}

function timeOf(atS: number): string {
  return new Date(atS * 1000).toLocaleTimeString("en-GB", { hour12: false });
}

/** The colour of a class in the present colour scheme, as a canvas understands it. */
function colourOf(element: HTMLElement, name: string): string {
  const probe = element.ownerDocument.createElement("span");
  probe.className = name;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
