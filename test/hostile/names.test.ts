import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Link, toLinkset } from "@tributary/link-model";
import { linkToJson } from "@tributary/node";
import { beforeAll, describe, expect, test } from "vitest";
import { openTestClient, type TestClient } from "../harness/nodes.js";
import {
  eventually,
  freePort,
  runTributary,
  startTributary,
  type TributaryNode,
  temporaryFolder,
} from "../peers/peers.js";

/** Names that mean something to objects of the language. From the network they are names like any other. */
const NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "hasOwnProperty",
  "toString",
  "toJSON",
  "valueOf",
  "get",
  "set",
  "then",
  "length",
  "__defineGetter__",
];
const nodes: TributaryNode[] = [];
const uris = new Map<string, string>();
/** Nodes that are to show everything. */
const shown = new Set(["rd", "plain", "feed-proxy", "plain-proxy", "forward-proxy"]);
let folder: string;
let http: string;

async function start(name: string, text: string): Promise<void> {
  const configFile = join(folder, `${name}.yaml`);
  writeFileSync(configFile, `name: ${name}\nlisten: ["${uris.get(name)}"]\n${text}`);
  nodes.push(await startTributary({ configFile }));
}

/** An RD with a store, a proxy with a snapshot that follows its feed, and one that is refused the feed of another RD. */
async function startAll(): Promise<void> {
  await start("rd", 'http: false\nregistration: { store: "lmdb:./rd-state" }\n');
  await start("plain", "http: false\nregistration: { replicas: [] }\n");
  await start(
    "feed-proxy",
    `http: "${http}"\nlookup: { upstreams: [{ name: rd, uri: "${uris.get("rd")}" }] }\nsnapshot: ./lp-state\n`,
  );
  await start(
    "plain-proxy",
    `http: false\nlookup: { upstreams: [{ name: plain, uri: "${uris.get("plain")}", poll: 1s }] }\n`,
  );
  await start("forward-proxy", `http: false\nlookup: { upstreams: [{ uri: "${uris.get("rd")}", mode: forward }] }\n`);
}

async function registerAll(client: TestClient): Promise<void> {
  for (const rd of ["rd", "plain"]) {
    for (const name of NAMES) {
      const query = [`ep=${name}`, `d=${name}`, "base=coap://h", `${name}=${name}`, `et=${name}`];
      await client.register(uris.get(rd) as string, query, `</${name}>;${name}="${name}";rt="${name}";if="${name}"`);
    }
  }
}

beforeAll(async () => {
  folder = temporaryFolder();
  http = `127.0.0.1:${await freePort("127.0.0.1")}`;
  for (const name of shown) uris.set(name, `coap://[::1]:${await freePort()}`);
}, 180_000);

const valuesOf = ({ attributes }: Link, name: string) =>
  attributes.filter(([own]) => own === name).map(([, value]) => value);

async function expectShown(client: TestClient, node: string, name: string): Promise<void> {
  const at = uris.get(node) as string;
  for (const query of [[`ep=${name}`, `d=${name}`], [`${name}=${name}`], [`et=${name}`]]) {
    const [one, ...more] = await client.links(`${at}/rd-lookup/ep`, query);
    expect(more, `${node} ep?${query}`).toEqual([]);
    expect(one?.attributes, `${node} ep?${query}`).toEqual(
      expect.arrayContaining([
        ["ep", name],
        ["d", name],
        ["et", name],
      ]),
    );
    expect(valuesOf(one as Link, name)).toEqual([name]);
  }
  for (const query of [[`rt=${name}`], [`${name}=${name}`], [`ep=${name}`]]) {
    const links = await client.links(`${at}/rd-lookup/res`, query);
    expect(
      links.map(({ target }) => target),
      `${node} res?${query}`,
    ).toEqual([`coap://h/${name}`]);
    expect(valuesOf(links[0] as Link, name)).toEqual([name]);
  }
}

async function expectAllShown(): Promise<void> {
  const client = await openTestClient();
  for (const node of shown) {
    await eventually(
      async () => (await client.targets(`${uris.get(node)}/rd-lookup/res`)).length === NAMES.length || undefined,
      { what: `${node} with all links`, timeoutMs: 60_000 },
    );
    for (const name of NAMES) await expectShown(client, node, name);
  }
}

/** HTTP and the command line show them as members of their own. */
async function expectInJson(): Promise<void> {
  for (const name of NAMES) {
    const response = await fetch(`http://${http}/api/registrations?ep=${name}`);
    const { registrations } = (await response.json()) as { registrations: { attributes: object }[] };
    expect(registrations).toHaveLength(1);
    const attributes = registrations[0]?.attributes ?? {};
    expect(Object.entries(attributes)).toEqual(
      expect.arrayContaining([
        [name, name],
        ["et", name],
      ]),
    );
  }
  for (const path of ["/metrics", "/api/upstreams", "/readyz", "/"])
    expect((await fetch(`http://${http}${path}`)).status, path).toBe(200);
  const { stdout } = await runTributary(["lookup", "ep", "--at", uris.get("feed-proxy") as string, "--json"]);
  const printed = (JSON.parse(stdout) as { attributes: object }[]).map(({ attributes }) => Object.entries(attributes));
  for (const name of NAMES) expect(printed.filter((members) => members.some(([own]) => own === name))).toHaveLength(1);
}

describe("names that objects of the language inherit", () => {
  test("are registered, shown in every way, and kept", async () => {
    await startAll();
    await registerAll(await openTestClient());
    await expectAllShown();
    await expectInJson();
    await Promise.all(nodes.splice(0).map((node) => node.stop()));
    await startAll();
    // The plain RD keeps nothing; the others have everything as it was.
    for (const node of ["plain", "plain-proxy"]) shown.delete(node);
    await expectAllShown();
  }, 240_000);

  test.each(NAMES)("%s is a member of its own in each JSON form of a link", (name) => {
    const link: Link = {
      target: `coap://h/${name}`,
      attributes: [
        ["rel", name],
        [name, "1"],
        [name, null],
      ],
    };
    const json = JSON.parse(JSON.stringify(linkToJson(link)));
    expect(Object.getOwnPropertyDescriptor(json.attributes, name)?.value).toEqual(["1", true]);
    const [context] = JSON.parse(JSON.stringify(toLinkset([link]))).linkset;
    const [target] = Object.getOwnPropertyDescriptor(context, name)?.value ?? [];
    expect(Object.getOwnPropertyDescriptor(target, name)?.value).toEqual(["1", ""]);
    expect(Object.getPrototypeOf(context)).toBe(Object.prototype);
  });

  test.each(NAMES)(
    "%s is no key of a configuration",
    async (name) => {
      const configFile = join(folder, "odd.yaml");
      writeFileSync(configFile, `registration: {}\n${name}: { listen: [] }\n`);
      const { status, stderr, stdout } = await runTributary(["check", "-c", configFile]);
      expect(status).toBe(2);
      expect(stdout + stderr).toContain(`unknown key "${name}"`);
    },
    30_000,
  );
});
