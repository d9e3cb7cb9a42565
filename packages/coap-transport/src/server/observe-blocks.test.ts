import { describe, expect, test } from "vitest";
import { blockOption, findBlock, findOption } from "../message/block-option.js";
import { OPTION } from "../message/codes.js";
import { ACK, CON, observable, REGISTER, sequence, text } from "../testing/observable-resource.js";

describe("RFC 7959 section 2.6: notifications larger than a block", () => {
  test("COA-06 first block with Observe, the rest by GET, one ETag, one body", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    client.take();
    const body = Uint8Array.from({ length: 5000 }, (_unused, index) => (index * 31) & 255);
    change(body);
    await clock.advance(10);
    const first = client.take();
    expect(findBlock(first.options, OPTION.BLOCK2)).toEqual({ num: 0, more: true, szx: 6 });
    expect(sequence(first)).not.toBeNull();
    client.acknowledge(first.messageId);
    const blocks = [first];
    for (const num of [1, 2, 3, 4]) {
      const options = [blockOption(OPTION.BLOCK2, { num, more: false, szx: 6 })];
      if (num === 2) change("something else"); // does not disturb the transfer
      client.send({ token: [100 + num], options });
      await clock.advance(10);
      const answer = client.inbox.find((message) => message.type === ACK);
      if (answer === undefined) throw new Error("no block");
      client.inbox.splice(client.inbox.indexOf(answer), 1);
      expect(sequence(answer)).toBeNull();
      blocks.push(answer);
    }
    expect(Uint8Array.from(blocks.flatMap((block) => [...block.payload]))).toEqual(body);
    const etags = blocks.map((block) =>
      Buffer.from(findOption(block.options, OPTION.ETAG)?.value ?? []).toString("hex"),
    );
    expect(new Set(etags).size).toBe(1);
    expect(etags[0]).not.toBe("");
  });

  test("COA-06 the next notification waits until the last block was fetched", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    change(new Uint8Array(2500));
    await clock.advance(10);
    client.acknowledge(client.take().messageId);
    for (const num of [1, 2]) {
      await clock.advance(5000);
      change(`changed before block ${num}`);
      await clock.advance(10);
      expect(client.inbox).toHaveLength(0);
      client.send({ token: [num], options: [blockOption(OPTION.BLOCK2, { num, more: false, szx: 6 })] });
      await clock.advance(10);
      expect(client.take().type).toBe(ACK);
    }
    expect(client.inbox.map(text)).toEqual(["changed before block 2"]);
  });

  test("COA-06 it does not wait for longer than two timeouts without a request for a block", async () => {
    const { clock, peer, change } = observable();
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    client.take();
    change(new Uint8Array(2500));
    await clock.advance(10);
    client.acknowledge(client.take().messageId);
    await clock.advance(1);
    change("1");
    await clock.advance(5999);
    expect(client.inbox).toHaveLength(0);
    await clock.advance(2);
    expect(client.inbox.map(text)).toEqual(["1"]);
  });

  test("COA-06 after a first answer in blocks, likewise", async () => {
    const { clock, peer, change } = observable();
    change(new Uint8Array(1500));
    const client = peer();
    client.send({ options: REGISTER });
    await clock.advance(10);
    expect(findBlock(client.take().options, OPTION.BLOCK2)?.more).toBe(true);
    change("1");
    await clock.advance(100);
    expect(client.inbox).toHaveLength(0);
    client.send({ options: [blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await clock.advance(10);
    expect(client.inbox.map((message) => message.type)).toEqual([ACK, CON]);
  });

  test("a later block asked for with Observe when nothing is retained: answered, not registered", async () => {
    const { clock, peer, change, observers } = observable();
    change(new Uint8Array(1500));
    const client = peer();
    client.send({ options: [...REGISTER, blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await clock.advance(10);
    const block = client.take();
    expect([block.payload.length, sequence(block), observers.size]).toEqual([476, null, 0]);
  });

  test("COA-06 a client that repeats Observe with the later blocks does not register again", async () => {
    const { clock, peer, change, ends, observers } = observable();
    const client = peer();
    client.send({ token: [1], options: REGISTER });
    await clock.advance(10);
    change(new Uint8Array(2000));
    await clock.advance(10);
    client.send({ token: [1], options: [...REGISTER, blockOption(OPTION.BLOCK2, { num: 1, more: false, szx: 6 })] });
    await clock.advance(10);
    const block = client.inbox.at(-1);
    expect([block?.payload.length, block === undefined ? null : sequence(block)]).toEqual([976, null]);
    expect(ends).toEqual([]);
    expect(observers.size).toBe(1);
  });
});
