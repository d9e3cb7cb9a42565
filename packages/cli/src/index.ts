export type { CommandIo } from "./command-io.js";
export { runCli } from "./program.js";
export type { EndpointClient } from "./register/endpoint-client.js";
export { createEndpointClient } from "./register/endpoint-client.js";
export type { EndpointResponse } from "./register/endpoint-exchange.js";
