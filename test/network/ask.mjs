/** Sends one datagram and prints what comes back as JSON: `node ask.mjs <address> <port> <hex> <wait ms> [interface]`. */
import { createSocket } from "node:dgram";

const [address, port, hex, waitMs, link] = process.argv.slice(2);
const isIpv6 = address.includes(":");
const socket = createSocket(isIpv6 ? "udp6" : "udp4");
const answers = [];
socket.on("message", (datagram, from) => {
  answers.push({ from: from.address.replace(/%.*$/, ""), type: (datagram[0] >> 4) & 3, code: datagram[1] });
});
socket.bind(0, () => {
  socket.setBroadcast(true);
  if (!isIpv6) socket.setMulticastTTL(1);
  socket.send(Buffer.from(hex, "hex"), Number(port), link === undefined ? address : `${address}%${link}`);
});
setTimeout(() => {
  process.stdout.write(JSON.stringify(answers), () => process.exit(0));
}, Number(waitMs));
