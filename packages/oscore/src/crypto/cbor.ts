/** The few CBOR items that key derivation and AAD are made of (RFC 8949), in their shortest form. Pure. */
export const cbor = {
  array: (items: readonly Uint8Array[]): Buffer => Buffer.concat([head(4, items.length), ...items]),
  bytes: (value: Uint8Array): Buffer => Buffer.concat([head(2, value.length), value]),
  text: (value: string): Buffer => {
    const bytes = Buffer.from(value, "utf8");
    return Buffer.concat([head(3, bytes.length), bytes]);
  },
  /** An integer of at most 16 bits. */
  integer: (value: number): Buffer => (value < 0 ? head(1, -1 - value) : head(0, value)),
  null: Buffer.of(0xf6),
};

function head(major: number, value: number): Buffer {
  if (value < 24) return Buffer.of((major << 5) | value);
  if (value < 256) return Buffer.of((major << 5) | 24, value);
  return Buffer.of((major << 5) | 25, value >> 8, value & 255);
}
