/** How to open a UDP socket. */
export interface OpenUdpSocketOptions {
  /** Size of the receive buffer, bytes. Default 4 MiB; the system may grant less. */
  readonly receiveBufferBytes?: number;
  /** Size of the send buffer, bytes. Default 4 MiB; the system may grant less. */
  readonly sendBufferBytes?: number;
  /** With `::`, keep IPv4 out. Default false: IPv4 peers appear with IPv4 addresses. */
  readonly ipv6Only?: boolean;
  readonly reuseAddr?: boolean;
  /** Talk to this peer alone; the system then reports when it is unreachable. */
  readonly remote?: { readonly address: string; readonly port: number };
}
