/** The address of the HTTP interface cannot be bound. */
export class HttpBindError extends Error {
  override readonly name = "HttpBindError";
  readonly code = "HTTP_BIND_FAILED";
  constructor(host: string, port: number, cause: Error) {
    super(`cannot bind HTTP on ${host.includes(":") ? `[${host}]` : host}:${port}: ${reason(cause)}`, { cause });
  }
}

function reason(cause: NodeJS.ErrnoException): string {
  if (cause.code === "EADDRINUSE")
    return "the address is in use; stop the other process or change http in the configuration";
  if (cause.code === "EADDRNOTAVAIL") return "this machine does not have the address";
  if (cause.code === "EACCES") return "this user may not bind the port";
  return cause.message;
}
