// The least that a UDP server in Node can do: answer every datagram with as many bytes as a lookup is answered with.
import { createSocket } from "node:dgram";

const bytes = Number(process.argv[2]);
const socket = createSocket({ type: "udp4", lookup: (host, _options, callback) => callback(null, host, 4) });
const rest = Buffer.alloc(Math.max(0, bytes - 8), 0x2e);
socket.on("message", (datagram, from) => {
  const answer = Buffer.allocUnsafe(8 + rest.length);
  datagram.copy(answer, 0, 0, 8);
  answer[0] = 0x64; // an acknowledgement with a token of four bytes
  answer[1] = 0x45;
  rest.copy(answer, 8);
  socket.send(answer, from.port, from.address);
});
socket.bind(0, "127.0.0.1", () => {
  socket.setRecvBufferSize(4_194_304);
  process.stdout.write(`port ${socket.address().port}\n`);
});
