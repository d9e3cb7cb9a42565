import type { DatagramSocket } from "@tributary/coap-transport";
import type { Clock, Environment } from "@tributary/runtime";

/** What is needed of the virtual world of `@tributary/coap-transport/testing`, which tests bring along. */
export interface World {
  readonly env: Environment;
  readonly clock: Clock & {
    advance(ms: number): Promise<void>;
    runUntil(condition: () => boolean, limitMs?: number): Promise<boolean>;
  };
  readonly network: {
    open(address: string, port: number): DatagramSocket;
    partition(...sets: readonly (readonly string[])[]): void;
    heal(): void;
  };
}
