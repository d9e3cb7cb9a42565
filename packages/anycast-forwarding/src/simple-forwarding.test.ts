import { CODE, createCoapEndpoint, type ServerResponse } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { buildRequest } from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";
import { addressOf, FIGURE, type NodePlan, openGroup, settled } from "./testing/shared-address.js";

function open(plans: Readonly<Record<string, NodePlan>> = FIGURE) {
  const world = createVirtualWorld();
  return { world, ...openGroup(world, plans) };
}

describe("RFC 9176 section 5.1: simple registration at a node without RD", () => {
  function withEndpoint(core: ServerResponse, plans: Readonly<Record<string, NodePlan>> = FIGURE) {
    const group = open(plans);
    const fetches: string[] = [];
    const endpoint = createCoapEndpoint(
      { socket: group.world.network.open("2001:db8::7", 61_616), env: group.world.env },
      {
        handler: (request) => {
          fetches.push(`${request.peer.address} /${request.path.join("/")}`);
          return core;
        },
      },
    );
    const simple = (query: string, payload = "") =>
      settled(
        group.world,
        endpoint.request({
          method: 2,
          uri: `coap://[${addressOf("host4")}]/.well-known/rd?${query}`,
          payload: Buffer.from(payload),
        }),
      );
    return { ...group, fetches, simple };
  }
  const CORE: ServerResponse = { code: CODE.CONTENT, contentFormat: 40, payload: Buffer.from("</t>;rt=t") };

  test("the node that was asked fetches the links, and registers them for the endpoint", async () => {
    const { simple, fetches, node } = withEndpoint(CORE);
    const answer = await simple("ep=a&lt=60");
    expect([answer.code, answer.locationPath]).toEqual([CODE.CHANGED, []]);
    expect(fetches).toEqual([`${addressOf("host4")} /.well-known/core`]);
    const [request] = node("host3").served;
    expect(request).toMatchObject({ path: ["rd"], contentFormat: 40 });
    expect(request?.query).toEqual(["ep=a", "lt=60", "implicit-base=coap://[2001:db8::7]:61616"]);
    expect(new TextDecoder().decode(request?.payload)).toBe("</t>;rt=t");
  });

  test.each([
    { name: "SIM-03 a base", query: "ep=a&base=coap://h", payload: "" },
    { name: "SIM-08 a payload", query: "ep=a", payload: "</x>" },
  ])("$name is refused without a fetch", async ({ query, payload }) => {
    const { simple, fetches } = withEndpoint(CORE);
    expect((await simple(query, payload)).code).toBe(CODE.BAD_REQUEST);
    expect(fetches).toEqual([]);
  });

  test("a document that is none is not registered", async () => {
    const { simple, node } = withEndpoint({ code: CODE.NOT_FOUND });
    expect((await simple("ep=a")).code).toBe(CODE.BAD_REQUEST);
    expect(node("host3").served).toEqual([]);
    expect(node("host4").forwarding.rejected.get("bad-document")).toBe(1);
  });

  test("an address that is not proven gets a challenge and no request", async () => {
    const group = open();
    const simple = group.node("host4").forwarding.resources.find(({ path }) => path[0] === ".well-known");
    const request = buildRequest("POST", "/.well-known/rd?ep=a", { sourceProof: "none" });
    expect(await simple?.handle(request)).toEqual({ code: CODE.UNAUTHORIZED, issuesEcho: true });
    expect(group.node("host4").forwarding.tableSizes()).toMatchObject({ "forwarded-documents": 0 });
  });
});
