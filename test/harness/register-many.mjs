// register-many RD COUNT: register COUNT endpoints at an RD, from the built packages, and end.
import { openCoapClient } from "@tributary/coap-transport";
import { silentLogger, systemClock } from "@tributary/runtime";

const [rd, count] = process.argv.slice(2);
const client = await openCoapClient({ env: { clock: systemClock(), random: Math.random, logger: silentLogger } }, {});
const payload = new TextEncoder().encode(
  '</sensors/temp>;rt="ex.temperature";if="core.s",</sensors/hum>;rt="ex.humidity";if="core.s"',
);

async function register(index) {
  const groups = [...(index > 0xffff ? [index >> 16] : []), index & 0xffff].map((group) => group.toString(16));
  const query = [`ep=bulk${index}`, `base=coap://[2001:db8:b::${groups.join(":")}]`];
  const { code } = await client.request({ method: 2, uri: `${rd}/rd`, query, contentFormat: 40, payload });
  if (code !== 65) throw new Error(`bulk${index}: code ${code}`);
}

for (let start = 0; start < Number(count); start += 20) {
  await Promise.all(Array.from({ length: Math.min(20, count - start) }, (_, offset) => register(start + offset)));
}
await client.close();
