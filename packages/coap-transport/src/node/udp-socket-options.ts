/** How to open a UDP socket. */
export interface OpenUdpSocketOptions {
  /** Receive buffer asked for, bytes. Default 4 MiB; the system may give less. */
  readonly receiveBufferBytes?: number;
  /** Send buffer asked for, bytes. Default 4 MiB; the system may give less. */
  readonly sendBufferBytes?: number;
  /** With `::`, keep IPv4 out. Default false: IPv4 peers appear with IPv4 addresses. */
  readonly ipv6Only?: boolean;
  readonly reuseAddr?: boolean;
  /** Talk to this peer alone; the system then reports when it is unreachable. */
  readonly remote?: { readonly address: string; readonly port: number };
}
