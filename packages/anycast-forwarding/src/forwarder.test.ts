import { CODE, createAmplificationGuard, METHOD, type ServerResponse } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { addressOf, CLIENT, FIGURE, type NodePlan, openGroup } from "./testing/shared-address.js";

function open(plans: Readonly<Record<string, NodePlan>> = FIGURE) {
  const world = createVirtualWorld();
  return { world, ...openGroup(world, plans) };
}

const outcomes = (group: ReturnType<typeof open>, at: string, peer: string) =>
  group
    .node(at)
    .forwarding.peers()
    .find(({ name }) => name === peer);

describe("draft 6.2.2: /rd", () => {
  test("LPX-18 goes to the closest RD, whose name is in the location", async () => {
    const group = open();
    const { code, response } = await group.ask("host4", "POST /rd?ep=a&lt=60", {
      contentFormat: 40,
      payload: Buffer.from("</x>"),
    });
    expect(code).toBe("2.01");
    expect(response.locationPath).toEqual(["reg", "host3", "1"]);
    const [request] = group.node("host3").served;
    expect(request).toMatchObject({ method: 2, path: ["rd"], contentFormat: 40, hopLimit: 16 });
    expect(new TextDecoder().decode(request?.payload)).toBe("</x>");
    expect(group.node("host4").served).toEqual([]);
  });

  test("is served by the RD of the host where there is one", async () => {
    const group = open();
    expect((await group.ask("host1", "POST /rd?ep=a")).response.locationPath).toEqual(["reg", "host1", "1"]);
    expect(group.node("host1").served[0]?.query).toEqual(["ep=a"]);
  });

  test("LPX-21 the address of the client goes along, unless it names a base", async () => {
    const group = open();
    const query = async (uri: string) => {
      await group.ask("host4", `POST ${uri}`);
      return group.node("host3").served.at(-1)?.query;
    };
    expect(await query("/rd?ep=a")).toEqual(["ep=a", `implicit-base=coap://[${CLIENT}]:40000`]);
    expect(await query("/reg/host3/1")).toEqual([`implicit-base=coap://[${CLIENT}]:40000`]);
    expect(await query("/rd?ep=a&base=coap://h")).toEqual(["ep=a", "base=coap://h"]);
    expect(await query("/rd?ep=a&implicit-base=coap://first")).toEqual(["ep=a", "implicit-base=coap://first"]);
  });

  test("a silent RD costs the first registration a second, the next ones nothing, and is asked again when it is back", async () => {
    const group = open();
    group.silence("host3");
    const { clock } = group.world;
    const timed = async () => {
      const startMs = clock.nowMs();
      const { response } = await group.ask("host4", "POST /rd?ep=a");
      return { by: response.locationPath[1], ms: clock.nowMs() - startMs };
    };
    const first = await timed();
    expect(first.by).toBe("host2");
    expect(first.ms).toBeGreaterThanOrEqual(1000);
    expect(first.ms).toBeLessThan(1500);
    const second = await timed();
    expect(second.by).toBe("host2");
    expect(second.ms).toBeLessThan(500);
    expect(outcomes(group, "host4", "host3")).toMatchObject({ isUp: false, outcomes: { timeout: 1, answered: 0 } });
    group.heal();
    await clock.advance(7000);
    expect(outcomes(group, "host4", "host3")).toMatchObject({ isUp: true });
    expect((await timed()).by).toBe("host3");
  });

  test("peers that answer are never pinged", async () => {
    const group = open();
    await group.ask("host4", "POST /rd?ep=a");
    const { pending } = group.world.clock;
    await group.world.clock.advance(600_000);
    expect(group.world.clock.pending).toBeLessThanOrEqual(pending);
    expect(group.node("host3").endpoint.counters.received).toBe(1);
  });

  test("5.03 of one RD leads to the next; the last word counts when all say so", async () => {
    const group = open();
    const full: ServerResponse = { code: CODE.UNAVAILABLE, maxAgeS: 30, payload: Buffer.from("full") };
    group.node("host3").respondWith(full);
    expect((await group.ask("host4", "POST /rd?ep=a")).response.locationPath).toEqual(["reg", "host2", "1"]);
    expect(outcomes(group, "host4", "host3")).toMatchObject({ isUp: true, outcomes: { answered: 1 } });
    group.node("host2").respondWith(full);
    group.node("host1").respondWith(full);
    const { code, text, response } = await group.ask("host4", "POST /rd?ep=a");
    expect({ code, text, maxAgeS: response.maxAgeS }).toEqual({ code: "5.03", text: "full", maxAgeS: 30 });
  });

  test("other refusals of the RD are the answer", async () => {
    const group = open();
    group.node("host3").respondWith({ code: CODE.BAD_REQUEST, payload: Buffer.from("ep is missing") });
    expect(await group.ask("host4", "POST /rd")).toMatchObject({ code: "4.00", text: "ep is missing" });
    expect(group.node("host2").served).toEqual([]);
  });

  test("a large document goes through in blocks, both ways", async () => {
    const group = open();
    const payload = Buffer.alloc(5000, "</sensors/temp>,");
    expect((await group.ask("host4", "POST /rd?ep=a", { contentFormat: 40, payload })).code).toBe("2.01");
    expect(Buffer.from(group.node("host3").served[0]?.payload ?? []).equals(payload)).toBe(true);
  });

  test("an RD that rejects the message or answers nonsense is passed over, and is not down", async () => {
    const group = open();
    group.node("host3").respondWith({ code: CODE.CREATED, options: [{ number: 2051, value: new Uint8Array() }] });
    expect((await group.ask("host4", "POST /rd?ep=a")).response.locationPath).toEqual(["reg", "host2", "1"]);
    expect(outcomes(group, "host4", "host3")).toMatchObject({ isUp: true, outcomes: { failed: 1 } });
    expect((await group.ask("host4", "GET /reg/host3/1")).code, "nobody else has that").toBe("5.02");
  });

  test("5.04 when no RD answers", async () => {
    const group = open({ host2: { rd: true }, host4: { lp: true } });
    group.silence("host2");
    expect((await group.ask("host4", "POST /rd?ep=a")).code).toBe("5.04");
  });
});

describe("draft 6.2.2: /reg/…", () => {
  test.each(["GET", "POST", "DELETE"])("LPX-19 %s goes to the node that the path names", async (method) => {
    const group = open();
    for (const at of ["host1", "host2", "host4"]) {
      expect((await group.ask(at, `${method} /reg/host3/42`)).code).toBe("2.04");
      expect(group.node("host3").served.at(-1)?.path).toEqual(["reg", "host3", "42"]);
    }
    expect(outcomes(group, "host1", "host3")?.outcomes.answered).toBe(1);
  });

  test.each(["PUT", "FETCH", "PATCH", "IPATCH"] as const)(
    "%s goes there as it is, and its owner decides",
    async (method) => {
      const group = open();
      group.node("host3").respondWith({ code: CODE.METHOD_NOT_ALLOWED, payload: Buffer.from("not here") });
      const body = { contentFormat: 40, payload: new TextEncoder().encode("</new>") };
      expect(await group.ask("host4", `${method} /reg/host3/42`, body)).toMatchObject({
        code: "4.05",
        text: "not here",
      });
      expect(group.node("host3").served).toMatchObject([{ method: METHOD[method], query: [], ...body }]);
    },
  );

  test("LPX-19 5.04 when that node is silent, soon once that is known; 4.04 for a name that nobody has", async () => {
    const group = open();
    group.silence("host3");
    const { clock } = group.world;
    const late = await group.ask("host1", "POST /reg/host3/42");
    expect(late).toMatchObject({ code: "5.04", text: "host3 does not answer" });
    expect(clock.nowMs()).toBeGreaterThanOrEqual(10_000);
    const startMs = clock.nowMs();
    expect((await group.ask("host1", "POST /reg/host3/42")).code).toBe("5.04");
    expect(clock.nowMs() - startMs).toBeLessThan(1500);
    expect(group.node("host2").served, "nobody else has it").toEqual([]);
    expect((await group.ask("host1", "GET /reg/host9/42")).code).toBe("4.04");
    expect((await group.ask("host4", "GET /reg/host4/42")).code, "this node is no RD").toBe("4.04");
  });

  test("a lost datagram is no dead node", async () => {
    const group = open();
    let lost = 0;
    group.world.network.filter = (from) => from.address !== addressOf("host1") || lost++ > 0;
    expect((await group.ask("host1", "DELETE /reg/host3/42")).code).toBe("2.04");
    expect(lost).toBeGreaterThan(1);
    expect(outcomes(group, "host1", "host3")).toMatchObject({ isUp: true });
  });

  test("nothing else is forwarded", async () => {
    const group = open();
    for (const path of ["/", "/.well-known/none", "/regs/host3/1", "/reg", "/rd/host3", "/rd-lookup/gp"])
      expect((await group.ask("host4", `GET ${path}`)).code, path).toBe("4.04");
    expect(group.node("host3").served).toEqual([]);
  });
});

describe("draft 6.2.2: lookups", () => {
  test("are served by the lookup proxy of the host, else by the closest one", async () => {
    const group = open();
    expect((await group.ask("host4", "GET /rd-lookup/ep?ep=a")).text).toBe("host4 ep=a");
    expect((await group.ask("host2", "GET /rd-lookup/res?rt=b&page=0&count=1")).text).toBe("host1 rt=b,page=0,count=1");
    group.silence("host1");
    expect((await group.ask("host2", "GET /rd-lookup/ep?ep=a")).text).toBe("host4 ep=a");
  });

  test("what is registered at this very node is asked of it alone", async () => {
    const group = open();
    expect((await group.ask("host2", "GET /rd-lookup/ep?href=/*")).text).toBe("host2 href=/*");
    expect((await group.ask("host2", "GET /rd-lookup/ep", { accept: 51 })).text).toBe("host2 ");
    expect((await group.ask("host2", "GET /rd-lookup/ep?lt-age")).text).toBe("host2 lt-age");
  });

  test("ETag and Max-Age are those of the peer", async () => {
    const group = open();
    const etag = Uint8Array.of(1, 2, 3);
    group.node("host1").respondWith({ code: CODE.VALID, etag, maxAgeS: 7 });
    const { code, response } = await group.ask("host2", "GET /rd-lookup/ep", { etags: [etag] });
    expect({ code, etag: response.etag, maxAgeS: response.maxAgeS }).toEqual({ code: "2.03", etag, maxAgeS: 7 });
    expect(group.node("host1").served[0]?.etags).toEqual([etag]);
  });

  test("LPX-17 larger answers than a block, and an Echo challenge of the peer", async () => {
    const world = createVirtualWorld();
    const guard = createAmplificationGuard(world.env, { freeBytes: 136 });
    const group = openGroup(world, { host1: { lp: true, guard }, host2: { rd: true } });
    const body = Buffer.alloc(5000, "</x>;");
    group.node("host1").respondWith({ code: CODE.CONTENT, contentFormat: 40, payload: body });
    const { code, text } = await group.ask("host2", "GET /rd-lookup/ep");
    expect(code).toBe("2.05");
    expect(text).toBe(body.toString());
    expect(group.node("host1").endpoint.counters.rejected.get("unverified")).toBe(1);
  });
});
