import { coap } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

interface Description {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, { readonly get: Operation }>>;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: object }>> }>>;
}

const nodes: RunningNode[] = [];
let rd: RunningNode;
let lp: RunningNode;
let description: Description;
const ajv = new Ajv2020({ validateFormats: false });

async function start(config: object): Promise<RunningNode> {
  const common = { listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0" };
  const node = await startNode({ ...common, ...config } as never, { logger: silentLogger, processMetrics: true });
  nodes.push(node);
  return node;
}

async function ask(node: RunningNode, path: string) {
  const response = await fetch(new URL(path, node.httpUri ?? ""));
  const type = response.headers.get("content-type")?.split(";")[0] ?? "";
  return { status: response.status, type, text: await response.text() };
}

/** What is wrong with a response, by the description. */
function mistakes(path: string, { status, type, text }: Awaited<ReturnType<typeof ask>>): unknown {
  const described = description.paths[path.split("?")[0] ?? ""]?.get.responses[String(status)]?.content?.[type];
  if (described === undefined) return `${status} ${type} is not described`;
  if (!type.endsWith("/json")) return null;
  const validate = ajv.compile(described.schema);
  return validate(JSON.parse(text)) ? null : validate.errors;
}

beforeAll(async () => {
  rd = await start({ name: "rd", registration: {} });
  const gone = await start({ name: "gone", registration: {} });
  await coap.post(`${rd.uris[0]}/rd?ep=lamp7&d=hall&et=lamp`, '</t>;rt="temp";obs', { contentFormat: 40 });
  await coap.post(`${gone.uris[0]}/rd?ep=lamp8`, "</t>", { contentFormat: 40 });
  const upstreams = [
    { name: "rd", uri: rd.uris[0], filters: ["d=hall"] },
    { name: "gone", uri: gone.uris[0] },
  ];
  lp = await start({ name: "lp", lookup: { upstreams, timeout: "300ms" } });
  while (lp.directory.counts().visible < 2) await new Promise((resolve) => setImmediate(resolve));
  nodes.splice(nodes.indexOf(gone), 1);
  await gone.close();
  while (lp.directory.counts().stale === 0) await new Promise((resolve) => setImmediate(resolve));
  description = JSON.parse((await ask(lp, "/api/openapi.json")).text) as Description;
});

afterAll(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
});

describe("/api/openapi.json", () => {
  test("describes every path that the overview names, and no other", async () => {
    expect(description.openapi).toBe("3.1.0");
    const overview = (await ask(rd, "/")).text;
    const named = [...overview.matchAll(/^(\/\S+) {2,}/gm)].map(([, path]) => path);
    expect(Object.keys(description.paths).sort()).toEqual(named.sort());
    const ids = Object.values(description.paths).map(({ get }) => get.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  const PATHS = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/node",
    "/api/upstreams",
    "/api/registrations",
    "/api/registrations?limit=1",
    "/api/registrations?limit=0",
    "/api/stale",
    "/api/events",
    "/api/events?limit=x",
    "/api/why?ep=lamp7",
    "/api/why?ep=lamp8",
    "/api/why",
    "/api/openapi.json",
    "/rd-lookup/ep",
    "/rd-lookup/res?rt=temp&count=1",
    "/rd-lookup/res?page=x",
  ];
  test.each(PATHS)("%s responds as it is described, at an RD and at a proxy that has lost one", async (path) => {
    for (const node of [rd, lp]) expect(mistakes(path, await ask(node, path))).toBeNull();
  });

  test("a schema refuses what is not described", async () => {
    const { text } = await ask(lp, "/api/node");
    const changed = JSON.stringify({ ...(JSON.parse(text) as object), surprise: 1 });
    expect(mistakes("/api/node", { status: 200, type: "application/json", text: changed })).not.toBeNull();
  });
});
