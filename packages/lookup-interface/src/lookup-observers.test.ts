import type { ClientResponse, Observation, ObservationListener } from "@tributary/coap-transport";
import { METHOD } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import {
  codeOf,
  DIRECTORY_ADDRESS,
  openClient,
  serveDirectory,
  type TestClient,
  textOf,
} from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";
import type { LookupResult } from "./types.js";

function serve(options = {}) {
  const world = createVirtualWorld();
  return { ...serveDirectory(world, options), world, clock: world.clock };
}

/** A client that observes a lookup; `bodies` are the payloads it received, the first response included. */
function observe(client: TestClient, uri: string, accept = 40) {
  const notifications: ClientResponse[] = [];
  const ends: unknown[] = [];
  const listener: ObservationListener = {
    onNotification: (response) => notifications.push(response),
    onEnd: (reason) => ends.push(reason),
  };
  const [path, query] = uri.split("?");
  const observation: Observation = client.endpoint.observe(
    {
      method: METHOD.GET,
      uri: `coap://[${DIRECTORY_ADDRESS}]${path}`,
      accept,
      ...(query === undefined ? {} : { query: query.split("&") }),
    },
    listener,
  );
  return { observation, notifications, ends, bodies: () => notifications.map(textOf) };
}

describe("RFC 7641: observing a lookup", () => {
  test("OBS-01 the first answer carries Observe, also when nothing matches", async () => {
    const { world, clock } = serve();
    const { notifications } = observe(openClient(world), "/rd-lookup/ep?ep=a");
    await clock.advance(100);
    expect(notifications).toHaveLength(1);
    expect(notifications[0]?.observe).toBeDefined();
    expect(codeOf(notifications[0] as ClientResponse)).toBe("2.05");
    expect(notifications[0]?.contentFormat).toBe(40);
    expect(notifications[0]?.payload).toHaveLength(0);
  });

  test("OBS-02 LIF-01 OBS-06 registration, update, removal and expiry are notified with the complete new body", async () => {
    const { world, clock, register, ask } = serve();
    const ep = observe(openClient(world), "/rd-lookup/ep?d=s");
    const res = observe(openClient(world), "/rd-lookup/res?d=s");
    await clock.advance(100);
    const one = register("ep=a&d=s&base=coap://h", "</x>");
    await clock.advance(100);
    const two = register("ep=b&d=s&base=coap://k&lt=60", "</y>");
    await clock.advance(100);
    ask("POST", `${one}?base=coap://moved`);
    await clock.advance(100);
    ask("DELETE", one);
    await clock.advance(100);
    await clock.advance(60_000);
    const link = (location: string, name: string, base: string) =>
      `<${location}>;ep="${name}";d="s";base="${base}";rt="core.rd-ep"`;
    expect(ep.bodies()).toEqual([
      "",
      link(one, "a", "coap://h"),
      `${link(one, "a", "coap://h")},${link(two, "b", "coap://k")}`,
      `${link(one, "a", "coap://moved")},${link(two, "b", "coap://k")}`,
      link(two, "b", "coap://k"),
      "",
    ]);
    expect(res.bodies()).toEqual([
      "",
      "<coap://h/x>",
      "<coap://h/x>,<coap://k/y>",
      "<coap://moved/x>,<coap://k/y>",
      "<coap://k/y>",
      "",
    ]);
    const numbers = ep.notifications.map(({ observe: number }) => number as number);
    expect(numbers.every((number, at) => at === 0 || number === ((numbers[at - 1] as number) + 1) % 2 ** 24)).toBe(
      true,
    );
    for (const notification of ep.notifications) expect(notification.contentFormat).toBe(40);
  });

  test("OBS-03 a renewal, or a change of something else, is not notified", async () => {
    const { world, clock, register, ask } = serve();
    const location = register("ep=a&lt=600", "</x>");
    const { bodies } = observe(openClient(world), "/rd-lookup/ep?ep=a");
    const paged = observe(openClient(world), "/rd-lookup/ep?count=1");
    await clock.advance(100);
    ask("POST", location);
    register("ep=a&lt=600", "</x>");
    await clock.advance(100);
    register("ep=b");
    register("ep=a&lt=600", "</other>");
    ask("POST", `${location}?lt=700`);
    await clock.advance(100);
    expect(bodies()).toHaveLength(1);
    expect(paged.bodies()).toHaveLength(1);
  });

  test("OBS-02 changes at one moment make one notification", async () => {
    const { world, clock, register } = serve();
    const { bodies } = observe(openClient(world), "/rd-lookup/res");
    await clock.advance(100);
    for (let at = 0; at < 20; at++) register(`ep=e${at}`, "</x>");
    await clock.advance(100);
    expect(bodies()).toHaveLength(2);
    expect(bodies()[1]?.split(",")).toHaveLength(20);
  });

  test("OBS-02 a change between the answer and the observation is not lost", () => {
    const { ask, register } = serve();
    const { observation } = ask("GET", "/rd-lookup/ep", { observe: 0 });
    register("ep=a");
    let wakes = 0;
    const observer = { peer: {} as never, wake: () => void wakes++, end: () => {} };
    const resource = observation?.attach(observer);
    expect(wakes).toBe(1);
    expect(textOf(resource?.next() as { payload: Uint8Array })).toContain('ep="a"');
    expect(resource?.next()).toBeNull();
  });

  test("OBS-04 a client that deregistered is notified no more", async () => {
    const { world, clock, register } = serve();
    const { observation, bodies } = observe(openClient(world), "/rd-lookup/ep");
    await clock.advance(100);
    const closing = observation.close();
    await clock.advance(1000);
    await closing;
    register("ep=a");
    await clock.advance(1000);
    expect(bodies()).toHaveLength(1);
  });

  test("OBS-04 OBS-05 observers that reject or stay silent are forgotten", async () => {
    const { world, clock, register } = serve();
    const rejecting = observe(openClient(world, "2001:db8::a", 1), "/rd-lookup/ep");
    const silent = openClient(world, "2001:db8::b", 1);
    observe(silent, "/rd-lookup/ep");
    await clock.advance(100);
    rejecting.observation.cancel();
    world.network.partition(["2001:db8::b"], [DIRECTORY_ADDRESS]);
    register("ep=a");
    await clock.advance(120_000);
    world.network.heal();
    const sent: string[] = [];
    world.network.onEvent = ({ from, to }) => void (from.address === DIRECTORY_ADDRESS && sent.push(to.address));
    register("ep=b");
    await clock.advance(120_000);
    expect(sent).toEqual([]);
  });

  test("OBS-02 a body of many blocks is notified whole", async () => {
    const { world, clock, register } = serve();
    const { bodies } = observe(openClient(world), "/rd-lookup/res");
    await clock.advance(100);
    register("ep=a", Array.from({ length: 300 }, (_, at) => `</sensors/${at}>;rt=temperature`).join(","));
    await clock.advance(5000);
    expect(bodies().at(-1)?.split(",")).toHaveLength(300);
  });

  test("many observers of one question are answered once", async () => {
    let answers = 0;
    const world = createVirtualWorld();
    const source = (): LookupResult => {
      answers++;
      return { links: [{ target: `coap://h/${answers}`, attributes: [] }], origin: "local" };
    };
    const { register } = serveDirectory(world, { source });
    const observers = Array.from({ length: 10 }, () => observe(openClient(world), "/rd-lookup/res?rt=t"));
    await world.clock.advance(100);
    expect(answers).toBe(10);
    register("ep=a", "</x>;rt=t");
    await world.clock.advance(100);
    expect(answers).toBe(11);
    expect(new Set(observers.map(({ bodies }) => bodies().at(-1)))).toEqual(new Set(["<coap://h/11>"]));
  });

  test("OBS-03 a renewal does not even make the RD look", async () => {
    let answers = 0;
    const world = createVirtualWorld();
    const { register, ask } = serveDirectory(world, { source: () => ({ links: [], maxAgeS: ++answers }) });
    const location = register("ep=a");
    observe(openClient(world), "/rd-lookup/ep");
    await world.clock.advance(100);
    ask("POST", location);
    await world.clock.advance(100);
    expect(answers).toBe(1);
    register("ep=a", "</x>");
    await world.clock.advance(100);
    expect(answers).toBe(2);
  });

  test("LKP-34 observers on different links see what is theirs", async () => {
    const { world, clock, register } = serve();
    const here = observe(openClient(world, "fe80::8%eth0"), "/rd-lookup/ep");
    const there = observe(openClient(world, "fe80::9%eth1"), "/rd-lookup/ep");
    await clock.advance(100);
    register("ep=a", "", { from: { address: "fe80::7", zone: "eth0", port: 5683 } });
    await clock.advance(100);
    expect(here.bodies()).toHaveLength(2);
    expect(there.bodies()).toHaveLength(1);
  });

  test.each([
    { name: "part of it is missing: what is known is still notified", origin: "partial", bodies: 2, ends: 0 },
    {
      name: "it must be asked of others: the observation ends with the answer",
      origin: "forwarded",
      bodies: 2,
      ends: 1,
    },
  ] as const)("when the answer is no longer local and $name", async ({ origin, bodies, ends }) => {
    const world = createVirtualWorld();
    const answer: { current: LookupResult } = { current: { links: [], origin: "local" } };
    const { register } = serveDirectory(world, { source: () => answer.current });
    const seen = observe(openClient(world), "/rd-lookup/ep");
    await world.clock.advance(100);
    answer.current = { links: [{ target: "/x", attributes: [] }], origin };
    register("ep=a");
    await world.clock.advance(1000);
    expect(seen.bodies()).toHaveLength(bodies);
    expect(seen.ends).toHaveLength(ends);
  });

  test("a refusal is the last notification", async () => {
    const world = createVirtualWorld();
    const answer: { current: LookupResult | { code: number; message: string } } = {
      current: { links: [], origin: "local" },
    };
    const { register } = serveDirectory(world, { source: () => answer.current });
    const seen = observe(openClient(world), "/rd-lookup/ep");
    await world.clock.advance(100);
    answer.current = { code: 164, message: "no upstream could be reached" };
    register("ep=a");
    await world.clock.advance(1000);
    expect(codeOf(seen.notifications.at(-1) as ClientResponse)).toBe("5.04");
    expect(seen.ends).toEqual(["error-response"]);
  });
});
