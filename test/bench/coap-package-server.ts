// Hello world on the npm package coap: what a server costs with it, whatever it answers.
import { createServer } from "coap";

const body = Buffer.alloc(Math.max(0, Number(process.argv[2]) - 12), 0x2e);
const server = createServer((_request, response) => {
  response.setOption("Content-Format", "application/link-format");
  response.end(body);
});
server.listen(0, "127.0.0.1", () => {
  const { port } = (server as unknown as { _sock: { address(): { port: number } } })._sock.address();
  process.stdout.write(`port ${port}\n`);
});
