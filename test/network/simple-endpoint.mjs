/**
 * An endpoint that registers simply (RFC 9176 section 5.1) from a socket that hears nobody but whom it speaks to, and prints
 * the code of the response: `node simple-endpoint.mjs <address> <port> <name>`.
 */
import { createSocket } from "node:dgram";

const [address, port, name] = process.argv.slice(2);
const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
const POST = Buffer.from("400207d1bb2e77656c6c2d6b6e6f776e027264", "hex");
const GET = 1;

socket.on("message", (datagram) => {
  const code = datagram[1];
  if (code === GET) {
    const token = datagram.subarray(4, 4 + (datagram[0] & 15));
    const head = Buffer.from([0x60 | token.length, 69, datagram[2], datagram[3]]);
    socket.send(Buffer.concat([head, token, Buffer.from("c128ff", "hex"), Buffer.from("</s>;rt=x")]));
  } else if (code > 31) {
    process.stdout.write(`${code >> 5}.${String(code & 31).padStart(2, "0")}\n`, () => process.exit(0));
  }
});
socket.connect(Number(port), address, () => {
  const query = Buffer.from(`ep=${name}`);
  // Uri-Query (15) after Uri-Path (11).
  socket.send(Buffer.concat([POST, Buffer.from([0x40 | query.length]), query]));
});
setTimeout(() => process.exit(1), 10_000);
