import { describe, expect, test } from "vitest";
import { CODE } from "../message/codes.js";
import { hello } from "../testing/greeting-server.js";
import { serveEndpoint } from "../testing/served-endpoint.js";
import type { ServerResponse } from "../types.js";
import { errorResponse } from "./response.js";

describe("RFC 7252 section 8: multicast", () => {
  function multicast(handler: () => ServerResponse) {
    const served = serveEndpoint({ handler });
    const socket = served.network.open("2001:db8::9", 7000);
    const answers: { atMs: number; from: string; bytes: Uint8Array }[] = [];
    socket.onDatagram = (bytes, from) => answers.push({ atMs: served.clock.nowMs(), from: from.address, bytes });
    const send = (hex: string): void =>
      socket.send(Uint8Array.from(Buffer.from(hex, "hex")), { address: "ff02::fd", port: 5683 });
    return { ...served, answers, send };
  }

  test("DIS-08 a hit is answered NON, from the unicast address, after a random time within Leisure", async () => {
    const { clock, answers, send } = multicast(hello);
    for (let messageId = 0; messageId < 40; messageId++) send(`5101${messageId.toString(16).padStart(4, "0")}07`);
    await clock.advance(5010);
    expect(answers).toHaveLength(40);
    expect(new Set(answers.map((answer) => answer.from))).toEqual(new Set(["2001:db8::1"]));
    expect(new Set(answers.map((answer) => answer.bytes[0]))).toEqual(new Set([0x51]));
    const times = answers.map((answer) => answer.atMs);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(2000);
  });

  test("DIS-07 a confirmable multicast request gets neither ACK nor RST", async () => {
    let calls = 0;
    const { clock, answers, send } = multicast(() => {
      calls++;
      return hello();
    });
    send("41010001" + "07");
    send("40000002"); // ping
    send("49010003010203040506070809"); // malformed
    await clock.advance(20_000);
    expect(answers).toHaveLength(0);
    expect(calls).toBe(0);
  });

  test.each([
    { name: "an error", response: errorResponse(CODE.NOT_FOUND, "nothing here") },
    { name: "an empty match", response: { code: CODE.CONTENT, contentFormat: 40 } },
  ])("DIS-06 $name is not answered", async ({ response }) => {
    const { clock, answers, send } = multicast(() => response);
    send("5101000107");
    await clock.advance(20_000);
    expect(answers).toHaveLength(0);
  });

  test("DIS-06 neither is an unknown critical option", async () => {
    const { clock, answers, send } = multicast(hello);
    send("51010001" + "07" + "90");
    await clock.advance(20_000);
    expect(answers).toHaveLength(0);
  });
});
