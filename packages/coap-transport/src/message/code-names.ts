import { CODE } from "./codes.js";

/** Names of response codes (RFC 7252 section 12.1.2, RFC 7959, 8132, 8516, 8768). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [CODE.CREATED, "Created"],
  [CODE.DELETED, "Deleted"],
  [CODE.VALID, "Valid"],
  [CODE.CHANGED, "Changed"],
  [CODE.CONTENT, "Content"],
  [CODE.CONTINUE, "Continue"],
  [CODE.BAD_REQUEST, "Bad Request"],
  [CODE.UNAUTHORIZED, "Unauthorized"],
  [CODE.BAD_OPTION, "Bad Option"],
  [CODE.FORBIDDEN, "Forbidden"],
  [CODE.NOT_FOUND, "Not Found"],
  [CODE.METHOD_NOT_ALLOWED, "Method Not Allowed"],
  [CODE.NOT_ACCEPTABLE, "Not Acceptable"],
  [CODE.REQUEST_ENTITY_INCOMPLETE, "Request Entity Incomplete"],
  [CODE.CONFLICT, "Conflict"],
  [CODE.PRECONDITION_FAILED, "Precondition Failed"],
  [CODE.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large"],
  [CODE.UNSUPPORTED_CONTENT_FORMAT, "Unsupported Content-Format"],
  [CODE.UNPROCESSABLE, "Unprocessable Entity"],
  [CODE.TOO_MANY_REQUESTS, "Too Many Requests"],
  [CODE.INTERNAL, "Internal Server Error"],
  [CODE.NOT_IMPLEMENTED, "Not Implemented"],
  [CODE.BAD_GATEWAY, "Bad Gateway"],
  [CODE.UNAVAILABLE, "Service Unavailable"],
  [CODE.GATEWAY_TIMEOUT, "Gateway Timeout"],
  [CODE.PROXYING_NOT_SUPPORTED, "Proxying Not Supported"],
  [CODE.HOP_LIMIT_REACHED, "Hop Limit Reached"],
]);

/** The registered name of a response code, such as "Content" for 2.05; "Unknown" for one that has none here. Pure. */
export function codeName(code: number): string {
  return NAMES.get(code) ?? "Unknown";
}
