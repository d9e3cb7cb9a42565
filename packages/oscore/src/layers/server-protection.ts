import {
  CODE,
  encodeUint,
  type Message,
  OPTION,
  type OpenedRequest,
  type OutgoingMessage,
  type PeerIdentity,
  type RefusedRequest,
  type ServerProtection,
} from "@tributary/coap-transport";
import type { RequestBinding, SecurityContext } from "../context/security-context.js";
import { OscoreError } from "../errors.js";
import { decodeHeader, type OscoreHeader } from "../message/oscore-option.js";
import { protectRequests } from "./client-protection.js";

/** A security context, and whose it is. */
export interface NamedContext {
  /** Unique among the contexts of a node. */
  readonly name: string;
  /** Who has the other half. Several contexts may be of one identity. */
  readonly identity: string;
  readonly context: SecurityContext;
}

/** Finds the contexts that a request may be protected with. */
export type FindContexts = (kid: Uint8Array, kidContext: Uint8Array | undefined) => readonly NamedContext[];

/** The errors of RFC 8613 section 8.2: unprotected, and without anything that tells contexts apart. */
const REFUSALS = {
  MALFORMED: { code: CODE.BAD_OPTION, diagnostic: "Failed to decode COSE", cause: "oscore-malformed" },
  UNKNOWN_CONTEXT: { code: CODE.UNAUTHORIZED, diagnostic: "Security context not found", cause: "oscore-context" },
  REPLAY: { code: CODE.UNAUTHORIZED, diagnostic: "Replay detected", cause: "oscore-replay" },
  DECRYPTION_FAILED: { code: CODE.BAD_REQUEST, diagnostic: "Decryption failed", cause: "oscore-decryption" },
} as const;

/** Serves requests that are protected with one of the contexts that `find` finds (RFC 8613 section 8.2). */
export function protectServer(find: FindContexts): ServerProtection {
  return {
    open(message) {
      const option = message.options.find(({ number }) => number === OPTION.OSCORE);
      const header = option === undefined ? null : decodeHeader(option.value);
      if (header?.kid === undefined || header.partialIv === undefined) return refuse("MALFORMED");
      const candidates = find(header.kid, header.kidContext);
      let problem: keyof typeof REFUSALS = "UNKNOWN_CONTEXT";
      for (const candidate of candidates) {
        const opened = tryContext(candidate, message, header);
        if (typeof opened !== "string") return opened;
        problem = opened;
      }
      return refuse(problem);
    },
  };
}

function tryContext(
  named: NamedContext,
  message: Message,
  header: OscoreHeader,
): OpenedRequest | RefusedRequest | keyof typeof REFUSALS {
  const { context, identity, name } = named;
  try {
    const { message: inner, binding, isFresh } = context.openRequest(message, header);
    if (!isFresh) return challenge(context, binding);
    let isFirst = true;
    return {
      kind: "opened",
      message: inner,
      identity: identityOf(identity),
      contextKey: `oscore/${name}`,
      seal(response) {
        const sealed = context.protectResponse(binding, response, isFirst);
        isFirst = false;
        return sealed;
      },
      protect: protectRequests(context),
    };
  } catch (error) {
    if (error instanceof OscoreError && error.code in REFUSALS) return error.code as keyof typeof REFUSALS;
    throw error;
  }
}

function identityOf(name: string): PeerIdentity {
  return { kind: "oscore", name, names: [name] };
}

/** RFC 8613 appendix B.1.2: after a restart the sender has to prove that its request is no replay. */
function challenge(context: SecurityContext, binding: RequestBinding): RefusedRequest {
  const options = [{ number: OPTION.ECHO, value: context.recoveryEcho }];
  const response = { code: CODE.UNAUTHORIZED, options, payload: new Uint8Array(0) };
  return { kind: "refused", response: context.protectResponse(binding, response, false), cause: "oscore-recovery" };
}

function refuse(problem: keyof typeof REFUSALS): RefusedRequest {
  const { code, diagnostic, cause } = REFUSALS[problem];
  const response: OutgoingMessage = {
    code,
    options: [{ number: OPTION.MAX_AGE, value: encodeUint(0) }],
    payload: Buffer.from(diagnostic, "utf8"),
  };
  return { kind: "refused", response, cause };
}
