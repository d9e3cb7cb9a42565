import { expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { openNode, openTestClient } from "../harness/nodes.js";
import { coapClient, describeWithPeers, eventually, startAiocoapRd } from "../peers/peers.js";

/** What the lookups of the draft's example have in common (4.3). */
const FAMILY = ["rt=core.s", "rt=ex.temperature", "ex.building=8341"];
const TITLES = 1000;

const linksOf = (title: string, rt = "core.s ex.temperature") => `</t>;rt="${rt}";title="${title}"`;

describeWithPeers([], "draft 4.3, a proxy that recognises what is asked for", () => {
  test("LPX-16 CAC-05 a thousand different titles cost a handful of requests and a subscription, each answer exact", {
    timeout: 180_000,
  }, async () => {
    const rd = await openNode("registration: {}");
    const relay = await CountingRelay.open(rd.uri);
    const proxy = await openNode(`lookup: { upstreams: [{ name: central, uri: "${relay.uri}", mode: auto }] }`);
    const client = await openTestClient();
    const register = (ep: string, query: readonly string[], links: string) =>
      client.register(rd.uri, [`ep=${ep}`, `base=coap://${ep}.example`, ...query], links);
    for (let index = 0; index < TITLES / 2; index++)
      await register(`n${index}`, ["ex.building=8341"], linksOf(`title ${index}`));
    // The same titles elsewhere; of the wrong type; and as an attribute of the endpoint, which a link filter would not see.
    await register("other", ["ex.building=1"], linksOf("title 1"));
    await register("wrong", ["ex.building=8341"], linksOf("title 1", "ex.temperature"));
    await register("hidden", ["ex.building=8341", "title=title 2"], '</x>;rt="core.s ex.temperature"');
    await eventually(() => proxy.upstreams().every(({ phase }) => phase === "live"), {
      what: "the RD to be discovered",
    });

    const before = relay.requests.length;
    for (let index = 0; index < TITLES; index++) {
      const query = [...FAMILY, `title=title ${index}`];
      const answer = await client.links(`${proxy.uri}/rd-lookup/res`, query);
      const expected = index < TITLES / 2 ? [`coap://n${index}.example/t`] : [];
      if (index === 2) expected.push("coap://hidden.example/x");
      expect(answer.map(({ target }) => target).sort(), `title ${index}`).toEqual(expected.sort());
    }
    const lookups = relay.lookups(before);
    const subscription = lookups.filter((target) => target.includes("href=/*") || !target.includes("title="));
    expect(lookups.length - subscription.length, "lookups forwarded until the family was copied").toBeLessThanOrEqual(
      6,
    );
    expect(relay.requests.slice(before).filter(({ isObservation }) => isObservation)).toHaveLength(2);
    process.stdout.write(
      `${TITLES} lookups: ${lookups.length - subscription.length} forwarded, ${relay.requests.length - before} requests in all\n`,
    );
    const [status] = proxy.upstreams();
    expect(status).toMatchObject({
      mode: "auto",
      phase: "live",
      method: "feed",
      isComplete: true,
      // Of the three others, only the hidden one is of the family.
      registrations: TITLES / 2 + 1,
    });
    expect(status?.coverage.map((filter) => filter.map(({ name, value }) => `${name}=${value}`))).toEqual([FAMILY]);

    // A change arrives by itself; the RD is not asked.
    const settled = relay.lookups().length;
    await register("late", ["ex.building=8341"], linksOf("title 1"));
    await eventually(
      async () =>
        (await client.targets(`${proxy.uri}/rd-lookup/res`, [...FAMILY, "title=title 1"])).includes(
          "coap://late.example/t",
        ),
      { what: "the late endpoint" },
    );
    expect(relay.lookups()).toHaveLength(settled);

    // With the RD gone, the family is still answered; other lookups are not.
    relay.isCut = true;
    expect(await client.targets(`${proxy.uri}/rd-lookup/res`, [...FAMILY, "title=title 7"])).toEqual([
      "coap://n7.example/t",
    ]);
  });

  test("a family that nobody asks for any more is dropped, one beyond the budget is not tried again", async () => {
    const rd = await openNode("registration: {}");
    const relay = await CountingRelay.open(rd.uri);
    const proxy = await openNode(
      `lookup:
  upstreams: [{ name: central, uri: "${relay.uri}", mode: auto }]
  auto: { threshold: 3, cold: 1s, budget: 50 }`,
    );
    const client = await openTestClient();
    const ask = (...query: string[]) => client.targets(`${proxy.uri}/rd-lookup/ep`, query);
    const status = () => proxy.upstreams()[0];
    for (let index = 0; index < 100; index++)
      await client.register(rd.uri, [`ep=n${index}`, `d=${index < 10 ? "small" : "large"}`, "base=coap://n.example"]);
    await eventually(() => status()?.phase === "live", { what: "the RD to be discovered" });

    for (let index = 0; index < 3; index++) expect(await ask("d=small", `ep=n${index}`)).toHaveLength(1);
    await eventually(() => status()?.isComplete === true, { what: "the small family" });
    expect(status()).toMatchObject({ registrations: 10, sources: ["central#1"] });
    await eventually(() => status()?.families?.length === 0, {
      what: "the small family to be dropped",
    });
    expect(proxy.directory.counts().total).toBe(0);
    expect(await ask("d=small")).toHaveLength(10);

    for (let index = 20; index < 23; index++) expect(await ask("d=large", `ep=n${index}`)).toHaveLength(1);
    await eventually(() => status()?.families?.length === 0 && proxy.directory.counts().total === 0, {
      what: "the large family to be given up",
    });
    const before = relay.requests.filter(({ isObservation }) => isObservation).length;
    for (let index = 30; index < 40; index++) expect(await ask("d=large", `ep=n${index}`)).toHaveLength(1);
    // Neither it nor anything wider; and everything is still answered.
    for (let index = 30; index < 40; index++) expect(await ask(`ep=n${index}`)).toHaveLength(1);
    expect(relay.requests.filter(({ isObservation }) => isObservation)).toHaveLength(before);
    expect(await ask()).toHaveLength(100);
  });
});

describeWithPeers(["libcoap", "aiocoap"], "draft 4.3 before an RD without a feed", () => {
  test("CAC-05 once its lookups vary it is copied as a whole, and each is answered exactly", {
    timeout: 180_000,
  }, async () => {
    const rd = await startAiocoapRd();
    const relay = await CountingRelay.open(rd.uri);
    await eventually(
      async () => (await coapClient(["-m", "get", `${relay.uri}/.well-known/core`])).stdout.includes("core.rd"),
      { what: "aiocoap-rd to answer", intervalMs: 200 },
    );
    const proxy = await openNode(`lookup: { upstreams: [{ name: central, uri: "${relay.uri}", mode: auto }] }`);
    const client = await openTestClient();
    for (let index = 0; index < 8; index++) {
      await coapClient([
        ...["-m", "post", "-t", "40", "-e", `</t>;rt="temp";title="t${index}"`],
        `${rd.uri}/resourcedirectory/?ep=n${index}&base=coap://n${index}.example`,
      ]);
    }
    await eventually(() => proxy.upstreams()[0]?.phase === "live", { what: "the RD to be discovered" });
    const ask = (index: number) => client.targets(`${proxy.uri}/rd-lookup/res`, [`title=t${index}`]);
    for (let index = 0; index < 8; index++) expect(await ask(index)).toEqual([`coap://n${index}.example/t`]);
    await eventually(() => proxy.upstreams()[0]?.isComplete === true, { what: "the copy" });
    expect(proxy.upstreams()[0]?.coverage).toEqual([[]]);
    const before = relay.lookups().filter((target) => target.includes("title=")).length;
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 8; index++) expect(await ask(index)).toEqual([`coap://n${index}.example/t`]);
    }
    expect(relay.lookups().filter((target) => target.includes("title="))).toHaveLength(before);
  });
});
