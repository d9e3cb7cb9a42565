import { systemClock } from "@tributary/runtime";
import { expect, test } from "vitest";
import { openNode, openTestClient } from "../harness/nodes.js";
import { eventually } from "../peers/peers.js";

const COUNT = 100_000;
const AT_ONCE = 200;
/** Of the two feeds, in patches of up to 64 KiB; about 600 each are needed. */
const MOST_MESSAGES = 1500;
const LINKS = '</sensors/temp>;rt="ex.temperature";if="core.s",</sensors/hum>;rt="ex.humidity";if="core.s"';

test("100,000 registrations over TCP are copied in patches of up to 64 KiB, in seconds", {
  timeout: 180_000,
}, async () => {
  const client = await openTestClient();
  const rd = await openNode("registration: {}", systemClock(), "coap+tcp");
  for (let start = 0; start < COUNT; start += AT_ONCE) {
    const register = (_: unknown, offset: number) =>
      client.register(
        rd.uri,
        [
          `ep=node-${start + offset}`,
          `base=coap://[2001:db8:7::${Math.floor((start + offset) / 10_000)}:${(start + offset) % 10_000}]`,
        ],
        LINKS,
      );
    await Promise.all(Array.from({ length: AT_ONCE }, register));
  }
  const sentBefore = rd.counters.transport[0]?.sent ?? 0;
  const startMs = performance.now();
  const proxy = await openNode(`lookup: { upstreams: [{ name: rd, uri: "${rd.uri}" }] }`);
  await eventually(() => proxy.upstreams()[0]?.phase === "live" && proxy.directory.counts().visible === COUNT, {
    what: "the copy",
  });
  const copyMs = performance.now() - startMs;
  const messages = (rd.counters.transport[0]?.sent ?? 0) - sentBefore;
  process.stdout.write(`100,000 registrations over TCP: copy ${Math.round(copyMs)} ms in ${messages} messages\n`);
  expect(messages, "nothing is sent twice").toBeLessThan(MOST_MESSAGES);
  const bytes = proxy.upstreams()[0]?.feedBytes ?? 0;
  expect(bytes / messages).toBeGreaterThan(48_000);

  const visible = new Promise<void>((resolve) => {
    proxy.directory.on("visible", ({ ep }) => void (ep === "one-more" && resolve()));
  });
  const path = await client.register(rd.uri, ["ep=one-more", "base=coap://h"], LINKS);
  await visible;
  expect(await client.targets(`${proxy.uri}/rd-lookup/ep`, ["ep=one-more"])).toEqual([rd.uri + path]);
});
