export { buildRequest, DIRECTORY_ADDRESS } from "./built-request.js";
export type { TestClient, TestWorld } from "./served-directory.js";
export { codeOf, linksOf, openClient, serveDirectory, textOf } from "./served-directory.js";
