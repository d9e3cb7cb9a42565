import { expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { openNode, openTestClient } from "../harness/nodes.js";
import { describeWithPeers, eventually, freePort, runTributary, startTributary } from "../peers/peers.js";

const HERE = "facility23.eu.example.com";
const ELSEWHERE = "facility7.us.example.com";

/** Three RDs; at each, endpoints of this facility and of another one. */
async function openSite(roles: readonly string[]) {
  const client = await openTestClient();
  const rds: { readonly relay: CountingRelay; readonly config: string }[] = [];
  for (const [index, role] of roles.entries()) {
    const rd = await openNode("registration: {}");
    const relay = await CountingRelay.open(rd.uri);
    for (const d of [HERE, ELSEWHERE]) {
      const ep = `${d.split(".")[0]}-${index}`;
      await client.register(
        rd.uri,
        [`ep=${ep}`, `d=${d}`, `base=coap://${ep}.example`],
        '</t>;rt="temp",</l>;rt="light"',
      );
    }
    rds.push({ relay, config: `{ name: rd-${index}, uri: "${relay.uri}", ${role} }` });
  }
  const proxy = await openNode(`lookup: { upstreams: [${rds.map(({ config }) => config).join(", ")}] }`);
  await eventually(() => proxy.upstreams().every(({ phase }) => phase === "live"), { what: "all RDs to be followed" });
  const marks = rds.map(() => 0);
  return {
    client,
    proxy,
    rds,
    /** The lookup interface of each lookup that each RD was asked since the last call, subscriptions apart. */
    asked: () =>
      rds.map(({ relay }, index) => {
        const since = relay.requests.slice(marks[index]);
        marks[index] = relay.requests.length;
        const lookups = since.filter(({ target, isObservation }) => target.startsWith("/rd-lookup/") && !isObservation);
        return lookups.map(({ target }) => target.slice("/rd-lookup/".length).replace(/\?.*/, "")).sort();
      }),
  };
}

describeWithPeers([], "draft 6.2.1, a proxy that keeps what concerns its own facility", () => {
  test("LPX-13 LPX-14 covered queries cost nothing, others one request at each RD and lookup interface", async () => {
    const role = `filters: ["d=${HERE}"]`;
    const { client, proxy, asked } = await openSite([role, role, role]);
    asked();
    const lookup = (kind: "ep" | "res", ...query: string[]) => client.targets(`${proxy.uri}/rd-lookup/${kind}`, query);

    for (let count = 0; count < 100; count++) {
      expect(await lookup("res", `d=${HERE}`, "rt=temp")).toHaveLength(3);
      expect(await lookup("ep", `d=${HERE}`, `ep=facility23-${count % 3}`)).toHaveLength(1);
    }
    expect(asked()).toEqual([[], [], []]);

    // The endpoints tell whose links they are, and since when.
    const BOTH = ["ep", "res"];
    expect(await lookup("res", `d=${ELSEWHERE}`, "rt=temp")).toHaveLength(3);
    expect(asked()).toEqual([BOTH, BOTH, BOTH]);
    expect(await lookup("ep", "rt=light")).toHaveLength(6);
    expect(asked()).toEqual([["ep"], ["ep"], ["ep"]]);
    // A prefix covers more than its filter, and is asked as well.
    expect(await lookup("ep", "d=facility*")).toHaveLength(6);
    expect(asked()).toEqual([["ep"], ["ep"], ["ep"]]);
    // The endpoints are known by now.
    expect(await lookup("res", "rt=light")).toHaveLength(6);
    expect(asked()).toEqual([["res"], ["res"], ["res"]]);
  });

  test("LPX-14 a query that some upstreams cover and others do not uses both", async () => {
    const { client, proxy, rds, asked } = await openSite([
      "mode: replicate",
      `filters: ["d=${HERE}", "rt=light"]`,
      "mode: forward",
    ]);
    asked();
    const lookup = (...query: string[]) => client.targets(`${proxy.uri}/rd-lookup/res`, query);
    expect((await lookup("rt=light")).sort()).toHaveLength(6);
    expect(asked(), "the second filter covers it").toEqual([[], [], ["ep", "res"]]);
    expect(await lookup("rt=temp")).toHaveLength(6);
    expect(asked()).toEqual([[], ["ep", "res"], ["ep", "res"]]);
    expect(await lookup(`d=${HERE}`, "rt=temp")).toHaveLength(3);
    expect(asked()).toEqual([[], [], ["ep", "res"]]);

    // Without one of them, the rest is answered from the copies.
    for (const { relay } of rds) relay.isCut = true;
    expect(await lookup(`d=${HERE}`, "rt=light")).toHaveLength(2);
  });

  test("coverage is shown to operators", async () => {
    const { proxy } = await openSite(["mode: replicate", `filters: ["d=${HERE}&rt=te*", "ep=lamp"]`, "mode: forward"]);
    expect(proxy.upstreams().map(({ coverage }) => coverage.map((one) => one.length))).toEqual([[0], [2, 1], []]);
  });

  test("coverage is shown by the status command", async () => {
    const rd = await openNode("registration: {}");
    const http = `127.0.0.1:${await freePort("127.0.0.1")}`;
    await startTributary({
      config: {
        listen: ["coap://[::1]:0"],
        http,
        lookup: {
          upstreams: [
            { name: "here", uri: rd.uri, filters: [`d=${HERE}`, "rt=light"] },
            { name: "central", uri: rd.uri.replace("[::1]", "localhost"), mode: "forward" },
          ],
        },
      },
    });
    const table = await eventually(
      async () => {
        const { stdout } = await runTributary(["status", "--at", `http://${http}`]);
        return stdout.includes("live") ? stdout : false;
      },
      { what: "the status" },
    );
    expect(table).toMatch(new RegExp(`here +live +feed +d=${HERE} or rt=light`));
    expect(table).toMatch(/central +\S+ +none +none/);
  });
});
