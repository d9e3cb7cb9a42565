/** The part of hyperdht that is used here; the package has no types of its own. */
declare module "hyperdht" {
  import type { EventEmitter } from "node:events";

  namespace HyperDht {
    interface NodeAddress {
      readonly host: string;
      readonly port: number;
    }

    interface SigningKeyPair {
      readonly publicKey: Uint8Array;
      sign(message: Uint8Array): Uint8Array;
    }

    interface PoolRequest {
      readonly command: number;
      readonly target: Uint8Array | null;
      readonly token: Uint8Array | null;
      readonly from: NodeAddress;
      readonly value: Uint8Array | null;
      reply(value: Uint8Array | null, options?: unknown): void;
      error(code: number): void;
    }

    interface LookupReply {
      readonly from: NodeAddress;
      readonly peers: readonly { readonly publicKey: Uint8Array }[];
    }

    interface MutableValue {
      readonly seq: number;
      readonly value: Uint8Array | null;
    }

    interface Query<T> extends AsyncIterable<T> {
      /** Members that responded. */
      readonly successes: number;
      readonly errors: number;
      destroy(error?: Error | null): void;
      finished(): Promise<void>;
    }

    interface HyperDhtOptions {
      readonly host?: string;
      readonly bootstrap?: readonly (string | NodeAddress)[];
      readonly maxSize?: number;
      readonly maxAge?: number;
    }
  }

  class HyperDht extends EventEmitter {
    static bootstrapper<T extends typeof HyperDht>(
      this: T,
      port: number,
      host: string,
      options: HyperDht.HyperDhtOptions,
    ): InstanceType<T>;
    /** BLAKE2b of 32 bytes. */
    static hash(bytes: Uint8Array): Buffer;
    /** Members that this one knows. */
    readonly nodes: { readonly length: number };
    readonly stats: { readonly requests: { readonly total: number } };
    fullyBootstrapped(): Promise<void>;
    bind(): Promise<void>;
    onrequest(request: HyperDht.PoolRequest): boolean;
    lookup(target: Uint8Array): HyperDht.Query<HyperDht.LookupReply>;
    announce(
      target: Uint8Array,
      keyPair: HyperDht.SigningKeyPair,
      relays: readonly HyperDht.NodeAddress[],
    ): HyperDht.Query<HyperDht.LookupReply>;
    unannounce(target: Uint8Array, keyPair: HyperDht.SigningKeyPair): Promise<void>;
    mutablePut(
      keyPair: HyperDht.SigningKeyPair,
      value: Uint8Array,
      options: { readonly seq: number },
    ): Promise<unknown>;
    mutableGet(publicKey: Uint8Array, options?: { readonly latest?: boolean }): Promise<HyperDht.MutableValue | null>;
    destroy(options?: { readonly force?: boolean }): Promise<void>;
  }

  export = HyperDht;
}

/** Encodings of hyperdht. */
declare module "hyperdht/lib/messages.js" {
  interface Decoder<T> {
    /** Throws where the bytes are malformed. */
    decode(state: { start: number; end: number; buffer: Uint8Array }): T;
  }

  const messages: {
    readonly lookupRawReply: Decoder<{ readonly peers: readonly { readonly publicKey: Uint8Array }[] }>;
    readonly mutableGetResponse: Decoder<{ readonly seq: number; readonly value: Uint8Array | null }>;
  };
  export = messages;
}
