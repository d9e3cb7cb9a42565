import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import type { Findings, Table, Target } from "./figures.ts";
import { drawPlot } from "./plots.ts";

/** What was measured on. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly node: string;
  readonly date: string;
}

export function thisMachine(): Machine {
  const [first] = cpus();
  return {
    cores: cpus().length,
    cpu: first?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Write everything down: figures as JSON and as Markdown, plots as SVG. */
export async function writeReport(folder: string, machine: Machine, findings: readonly Findings[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const targets = findings.flatMap((one) => one.targets);
  const tables = findings.flatMap((one) => one.tables);
  const plots = findings.flatMap((one) => one.plots);
  for (const plot of plots) writeFileSync(join(folder, `${plot.file}.svg`), `${await drawPlot(plot)}\n`);
  writeFileSync(join(folder, "figures.json"), `${JSON.stringify({ machine, targets, tables, plots }, null, 2)}\n`);
  const pictures = plots.map(({ file, title }) => `![${title}](${file}.svg)`);
  const { cores, cpu, memoryGb, node, date } = machine;
  const text = [
    "# Figures",
    "",
    `Written by \`npm run bench\`, all in one run: ${cores} cores (${cpu}), ${memoryGb} GB, Node ${node.slice(1)}, ${date}. Servers and`,
    "load generators share the machine. Ratios compare with what was measured in the same run; rates by themselves say more about",
    "the machine than about the program. [What they mean](README.md)",
    "",
    "## Targets",
    "",
    ...tableOf(targetTable(targets)),
    "",
    ...tables.flatMap((table) => [`## ${table.title}`, "", table.about, "", ...tableOf(table), ""]),
    "## Plots",
    "",
    ...pictures.flatMap((picture) => [picture, ""]),
  ];
  writeFileSync(join(folder, "figures.md"), text.join("\n"));
}

function targetTable(targets: readonly Target[]): Table {
  const rows = targets.map(({ name, wanted, measured, isMet }) => [name, wanted, measured, isMet ? "yes" : "**no**"]);
  return { title: "", about: "", columns: ["", "wanted", "measured", "met"], rows };
}

function tableOf({ columns, rows }: Table): string[] {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)];
}
