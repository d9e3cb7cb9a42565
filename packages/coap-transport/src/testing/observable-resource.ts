import { findOption } from "../message/block-option.js";
import { CODE, MESSAGE_TYPE, OPTION } from "../message/codes.js";
import { decodeUint, uintOption } from "../message/option-values.js";
import type { ObservationEnd, Observer, ServerResponse } from "../types.js";
import type { CoapEndpointOptions } from "../udp/endpoint.js";
import type { UdpMessage } from "../udp/message-codec.js";
import { serveEndpoint } from "./served-endpoint.js";

/** Message types by name, as tests write them. */
export const { CON, NON, ACK } = MESSAGE_TYPE;
/** Observe 0. */
export const REGISTER = [uintOption(OPTION.OBSERVE, 0)];
/** The payload as text. */
export const text = (message: UdpMessage): string => Buffer.from(message.payload).toString();
/** A 2.05 with this body. */
export const content = (body: string | Uint8Array): ServerResponse => ({
  code: CODE.CONTENT,
  contentFormat: 0,
  payload: typeof body === "string" ? Buffer.from(body) : body,
});

/** The Observe value, null when there is none. */
export function sequence(message: UdpMessage): number | null {
  const option = findOption(message.options, OPTION.OBSERVE);
  return option === undefined ? null : decodeUint(option.value);
}

/** A resource with one text as its state; every observer sees it change. */
export function observable(options: CoapEndpointOptions = {}) {
  const observers = new Set<Observer>();
  const ends: ObservationEnd[] = [];
  let state: string | Uint8Array = "0";
  let delivered = 0;
  let pulls = 0;
  const served = serveEndpoint({
    handler: (request) => {
      if (request.observe !== 0) return content(state);
      return {
        ...content(state),
        observation: {
          attach(observer) {
            observers.add(observer);
            let seen = state;
            return {
              next() {
                pulls++;
                if (seen === state) return null;
                seen = state;
                return content(state);
              },
              delivered: () => {
                delivered++;
              },
              closed: (reason) => {
                observers.delete(observer);
                ends.push(reason);
              },
            };
          },
        },
      };
    },
    ...options,
  });
  const change = (to: string | Uint8Array): void => {
    state = to;
    for (const observer of observers) observer.wake();
  };
  return { ...served, observers, ends, change, delivered: () => delivered, pulls: () => pulls };
}
