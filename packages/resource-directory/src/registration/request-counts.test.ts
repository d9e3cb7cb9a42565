import { CODE, METHOD, type RequestHandler } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { RequestCounts } from "./request-counts.js";

function request(method: number): Parameters<RequestHandler>[0] {
  return { method } as Parameters<RequestHandler>[0];
}

test("responses are counted by what the request was for, whether they come at once or later", async () => {
  const counts = new RequestCounts();
  const register = counts.counted(() => Promise.resolve({ code: CODE.CREATED }), "register");
  const simple = counts.counted(() => ({ code: CODE.CHANGED }), "simple");
  const resource = counts.counted(({ method }) => {
    return { code: method === METHOD.DELETE ? CODE.DELETED : CODE.NOT_FOUND };
  }, "resource");
  expect([...counts]).toEqual([]);
  const responses = [register(request(METHOD.POST)), register(request(METHOD.POST)), simple(request(METHOD.POST))];
  for (const method of [METHOD.POST, METHOD.PUT, METHOD.GET, METHOD.FETCH, METHOD.DELETE])
    responses.push(resource(request(method)));
  expect((await Promise.all(responses)).map(({ code }) => code)).toEqual([65, 65, 68, 132, 132, 132, 132, 66]);
  expect([...counts]).toEqual([
    { operation: "register", code: "2.01", count: 2 },
    { operation: "simple", code: "2.04", count: 1 },
    { operation: "update", code: "4.04", count: 2 },
    { operation: "remove", code: "2.02", count: 1 },
    { operation: "read", code: "4.04", count: 2 },
  ]);
});
