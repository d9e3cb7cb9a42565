import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Plot } from "./figures.ts";

/** A plot as SVG. */
export async function drawPlot({ title, x, y, isLogX, isLogY, points }: Plot): Promise<string> {
  const axis = (name: string, label: string, isLog: boolean) => ({
    field: name,
    type: "quantitative" as const,
    title: label,
    scale: isLog ? { type: "log" as const } : { zero: true },
  });
  const spec: TopLevelSpec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title,
    width: 560,
    height: 320,
    background: "white",
    data: { values: [...points] },
    mark: { type: "line", point: true },
    encoding: {
      x: axis("x", x, isLogX),
      y: axis("y", y, isLogY),
      color: { field: "series", type: "nominal", title: null, legend: { labelLimit: 300 } },
    },
  };
  return await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}
