import { spawnSync } from "node:child_process";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkConfig, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { load, loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../peers/find-program.js";
import { promtoolPath, requirePeers } from "../peers/peers.js";

const DEPLOY = fileURLToPath(new URL("../../deploy/", import.meta.url));
const read = (path: string): string => readFileSync(join(DEPLOY, path), "utf8");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook_url: string };
}
const RULES = (load(read("monitoring/alerts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  ({ rules }) => rules,
);
interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
const PANELS = (JSON.parse(read("monitoring/dashboard.json")) as { panels: Panel[] }).panels.filter(
  ({ targets }) => targets !== undefined,
);

describe("what is monitored", () => {
  let metrics: ReadonlySet<string>;
  let exposition: string;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const config = { name: "watched", listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0", registration: {} };
    const node = await startNode(config as never, { logger: silentLogger, processMetrics: true });
    stop = () => node.close();
    const text = await (await fetch(new URL("/metrics", node.httpUri ?? ""))).text();
    exposition = text;
    const declared = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    metrics = new Set(
      declared.flatMap(([, name = "", kind]) =>
        kind === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
  });
  afterAll(() => stop());

  const unknown = (expression: string): string[] =>
    [...expression.matchAll(/\b(?:tributary|process|nodejs)_[a-z0-9_]+/g)]
      .map(([name]) => name)
      .filter((name) => !metrics.has(name));

  test.each(RULES)("$alert asks for metrics that exist", ({ expr }) => {
    expect(expr).toMatch(/tributary_/);
    expect(unknown(expr)).toEqual([]);
  });

  test("what rules count by cause has a series from the start: the first time is an increase", () => {
    const causes = RULES.flatMap(({ expr }) => [...expr.matchAll(/(tributary_\w+)\{cause=~?"([^"]+)"/g)]).flatMap(
      ([, metric, alternatives = ""]) => alternatives.split("|").map((cause) => `${metric}{cause="${cause}"} 0`),
    );
    expect(causes.length).toBeGreaterThan(4);
    for (const series of causes) expect(exposition).toContain(series);
  });

  test.each(PANELS)("panel $title asks for metrics that exist", ({ targets }) => {
    for (const { expr } of targets ?? []) expect(unknown(expr)).toEqual([]);
  });

  test("each alert has its section in the runbook, and the runbook no other", () => {
    const runbook = readFileSync(join(DEPLOY, "../docs/runbook.md"), "utf8");
    const sections = [...runbook.matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
    expect(sections).toEqual(RULES.map(({ alert }) => alert));
    for (const { alert, annotations } of RULES)
      expect(annotations.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  });
});

test.each([
  "container/site.yaml",
  "compose/rd-a.yaml",
  "compose/rd-b.yaml",
  "compose/lp.yaml",
  "kubernetes/rd-site.yaml",
  "kubernetes/lp-site.yaml",
])("%s is a configuration without mistakes", (path) => {
  const checked = checkConfig(read(path), path);
  expect(checked.ok ? [] : checked.errors).toEqual([]);
});

test("the compose file mounts files that are there", () => {
  const { services } = load(read("compose/compose.yaml")) as { services: Record<string, { volumes?: string[] }> };
  const mounted = Object.values(services)
    .flatMap(({ volumes = [] }) => volumes)
    .map((volume) => volume.split(":")[0] ?? "")
    .filter((path) => path.startsWith("."));
  expect(mounted.length).toBeGreaterThan(6);
  for (const path of mounted) expect(globSync(join(DEPLOY, "compose", path)), path).toHaveLength(1);
});

describe("the manifests for Kubernetes", () => {
  interface Container {
    readonly ports: readonly { name: string; containerPort: number; protocol: string }[];
    readonly livenessProbe: { httpGet: { path: string; port: string } };
    readonly readinessProbe: { httpGet: { path: string; port: string } };
    readonly resources: object;
    readonly securityContext: object;
    readonly volumeMounts: readonly { name: string; mountPath: string }[];
  }
  interface Manifest {
    readonly kind: string;
    readonly metadata: { readonly name: string };
    readonly spec: {
      readonly selector: { readonly matchLabels?: Record<string, string> } & Record<string, unknown>;
      readonly template: {
        readonly metadata: { readonly labels: Record<string, string> };
        readonly spec: {
          containers: readonly Container[];
          securityContext: object;
          volumes: readonly { name: string; configMap?: { name: string } }[];
        };
      };
      readonly ports: readonly { port: number; targetPort: string; protocol: string }[];
      readonly externalTrafficPolicy?: string;
      readonly volumeClaimTemplates?: readonly { metadata: { name: string } }[];
    };
  }
  const kustomization = load(read("kubernetes/kustomization.yaml")) as {
    resources: string[];
    configMapGenerator: { name: string; files: string[] }[];
  };
  const manifests = kustomization.resources.flatMap((file) => loadAll(read(`kubernetes/${file}`)) as Manifest[]);
  const workloads = manifests.filter(({ kind }) => kind === "StatefulSet" || kind === "Deployment");

  test("name every file that is there, and configurations that are", () => {
    expect(manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      "Namespace tributary",
      "StatefulSet rd",
      "Service rd",
      "Deployment lp",
      "Service lp",
    ]);
    const used = kustomization.configMapGenerator.flatMap(({ files }) => files.map((file) => file.split("=")[1] ?? ""));
    const there = readdirSync(join(DEPLOY, "kubernetes")).sort();
    expect([...used, ...kustomization.resources, "kustomization.yaml"].sort()).toEqual(there);
  });

  test.each(workloads)(
    "$kind $metadata.name runs without rights, and mounts what its configuration writes to",
    (workload) => {
      const { template, selector, volumeClaimTemplates = [] } = workload.spec;
      const [container] = template.spec.containers;
      if (container === undefined) throw new Error("no container");
      expect(template.metadata.labels).toMatchObject(selector.matchLabels ?? {});
      expect(template.spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      const volumes = new Set(
        [...template.spec.volumes, ...volumeClaimTemplates.map(({ metadata }) => metadata)].map(({ name }) => name),
      );
      for (const { name } of container.volumeMounts) expect(volumes).toContain(name);
      const checked = checkConfig(read(`kubernetes/${workload.metadata.name}-site.yaml`), "site.yaml");
      if (!checked.ok) throw new Error("not a configuration");
      const { listen, http, registration, snapshot } = checked.config;
      expect(listen.map((uri) => new URL(uri).protocol)).toEqual(["coap:", "coap+tcp:"]);
      expect(container.ports).toContainEqual({ name: "http", containerPort: http?.port, protocol: "TCP" });
      const written = JSON.stringify([registration, snapshot]);
      expect(written).toContain("/var/lib/tributary/");
      expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain("/var/lib/tributary");
    },
  );

  test("services lead to ports of the pods of their name, and keep the addresses of clients", () => {
    for (const { metadata, spec } of manifests.filter(({ kind }) => kind === "Service")) {
      const workload = workloads.find((one) => one.metadata.name === metadata.name);
      expect(workload?.spec.template.metadata.labels).toMatchObject(spec.selector);
      const names = workload?.spec.template.spec.containers[0]?.ports.map(({ name }) => name);
      for (const { targetPort } of spec.ports) expect(names).toContain(targetPort);
      expect(spec.externalTrafficPolicy).toBe("Local");
    }
  });

  test("probes ask, by the address of the pod, for what a node has", async () => {
    const node = await startNode(
      { name: "rd", listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0", registration: {} } as never,
      { logger: silentLogger },
    );
    try {
      for (const { spec } of workloads)
        for (const { livenessProbe, readinessProbe } of spec.template.spec.containers)
          for (const { httpGet } of [livenessProbe, readinessProbe])
            expect(await statusBy(new URL(httpGet.path, node.httpUri ?? ""), "10.1.2.3:8683")).toBe(200);
    } finally {
      await node.close();
    }
  });
});

/** Status of a response to a request with this Host. */
function statusBy(uri: URL, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(uri, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject);
  });
}

test("the systemd unit is in order", (context) => {
  const program = findProgram(["systemd-analyze"]);
  if (program === undefined) return context.skip("systemd-analyze is not installed");
  const unit = join(DEPLOY, "systemd/tributary.service");
  // What it does not know is a warning, with status 0.
  const { status, stdout, stderr } = spawnSync(program, ["verify", "--man=no", unit], { encoding: "utf8" });
  expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" });
});

test("promtool finds the alert rules right, and they fire as their tests say", (context) => {
  requirePeers(context, "promtool");
  const program = promtoolPath() ?? "";
  const cwd = join(DEPLOY, "monitoring");
  for (const args of [
    ["check", "rules", "alerts.yaml"],
    ["test", "rules", "alerts.test.yaml"],
  ]) {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
    expect(status, stdout + stderr).toBe(0);
  }
});
