import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CODE, METHOD } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { openTestClient } from "../harness/nodes.js";
import { eventually, freePort, startTributary, temporaryFolder } from "../peers/peers.js";

test("LPX-19 a kept registration has the name of its node in its path, also after the node got one; its proxy follows", async () => {
  const folder = temporaryFolder();
  const [rdPort, lpPort, deadPort] = [await freePort(), await freePort(), await freePort()];
  const rd = `coap://[::1]:${rdPort}`;
  const lp = `coap://[::1]:${lpPort}`;
  const start = (name: string, text: string) => {
    const configFile = join(folder, `${name}.yaml`);
    writeFileSync(configFile, `name: ${name}\nhttp: false\n${text}\n`);
    return startTributary({ configFile });
  };
  const settings = `listen: ["${rd}"]\nregistration: { store: "lmdb:./state" }`;
  const shared = `${settings}\nanycast: { peers: [{ name: other, uri: "coap://[::1]:${deadPort}" }] }`;
  const client = await openTestClient();
  const updated = async (path: string) => (await client.coap.request({ method: METHOD.POST, uri: rd + path })).code;
  const shows = (href: string) =>
    eventually(async () => (await client.targets(`${lp}/rd-lookup/ep`)).join() === href, {
      what: `${href} at the proxy`,
    });

  const alone = await start("rd-a", settings);
  await start("lp", `listen: ["${lp}"]\nlookup: { upstreams: [{ name: rd, uri: "${rd}" }] }`);
  const path = await client.register(rd, ["ep=a", "base=coap://h"], "</x>");
  expect(path).toMatch(/^\/reg\/[^/]+$/);
  await shows(rd + path);
  await alone.stop();

  const named = await start("rd-a", shared);
  const namedPath = path.replace("/reg/", "/reg/rd-a/");
  expect(await updated(namedPath)).toBe(CODE.CHANGED);
  expect(await updated(path), "no node is called so").toBe(CODE.NOT_FOUND);
  expect(await updated("/reg/other/1"), "nobody is there").toBe(CODE.GATEWAY_TIMEOUT);
  await shows(rd + namedPath);
  await named.kill("SIGKILL");

  await start("rd-a", shared);
  expect(await updated(namedPath), "acknowledged is kept").toBe(CODE.CHANGED);
  expect(await client.register(rd, ["ep=a", "base=coap://h"])).toBe(namedPath);
});
