// A server and a client that observes it. Run: node docs/examples/observe-temperature.mjs
import { coap, createServer } from "@tributary/coap-transport";

let celsius = 20;
const server = createServer();
const thermometer = server.observable("/temperature", () => `${celsius} °C`);
const listener = await server.listen("coap://localhost:0");
const first = await coap.get(`${listener.uri}/temperature`);
console.log(first.code, first.codeName, first.text());
for await (const state of coap.observe(`${listener.uri}/temperature`)) {
  console.log(state.text());
  if (celsius === 22) break;
  celsius++;
  thermometer.changed();
}
await listener.close();
