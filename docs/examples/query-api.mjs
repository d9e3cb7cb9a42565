// A question of your own over what a node knows: how many devices of each kind are on a floor. Run: node docs/examples/query-api.mjs
import { createServer } from "node:http";
import { coap } from "@tributary/coap-transport";
import { parseLookupQuery } from "@tributary/link-model";
import { startNode } from "@tributary/node";

const node = await startNode({ name: "site", listen: ["coap://127.0.0.1:0"], http: false, registration: {} });
for (const [ep, d, et] of [
  ["lamp1", "floor1", "lamp"],
  ["lamp2", "floor1", "lamp"],
  ["door1", "floor1", "door"],
  ["lamp3", "floor2", "lamp"],
])
  await coap.post(`${node.uris[0]}/rd?ep=${ep}&d=${d}&et=${et}`, "</state>", { contentFormat: 40 });

/** `select` gives whole registrations in the order of their names, without the links of others. */
function countKinds(floor) {
  const { query } = parseLookupQuery([`d=${floor}`]);
  const counts = new Map();
  for (const { attributes } of node.directory.select(query, performance.now())) {
    const [, kind = "unknown"] = attributes.find(([name]) => name === "et") ?? [];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}

const server = createServer((request, response) => {
  const floor = new URL(request.url ?? "/", "http://host").searchParams.get("floor");
  response.setHeader("Content-Type", "application/json");
  if (floor === null) response.writeHead(400).end('{"error":"floor is missing"}');
  else response.end(JSON.stringify(countKinds(floor)));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
for (const path of ["/?floor=floor1", "/?floor=floor2", "/"]) {
  const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
  console.log(path, response.status, await response.text());
}
server.close();
await node.close();
