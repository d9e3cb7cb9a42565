// A whole node inside another program. Run: node docs/examples/embed-node.mjs
import { coap } from "@tributary/coap-transport";
import { startNode } from "@tributary/node";

const node = await startNode({
  listen: ["coap://127.0.0.1:0"],
  http: false,
  log: { level: "warn" },
  registration: {},
});
const [uri] = node.uris;
const links = '</temperature>;rt="temperature"';
const registered = await coap.post(`${uri}/rd?ep=node1&base=coap://[2001:db8::1]`, links, { contentFormat: 40 });
console.log(registered.code, registered.codeName);

const found = await coap.get(`${uri}/rd-lookup/res?rt=temperature`);
console.log(found.text());
console.log(node.status().registrations);
await node.close();

const error = await startNode({ registrations: {} }).catch((reason) => reason);
console.log(error.code, error.message);
