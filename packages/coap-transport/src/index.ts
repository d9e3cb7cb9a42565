export type { RequestChannel, ResponseListener } from "./client/request-channel.js";
export type { ChooseProtection, ProtectChannel } from "./client/route.js";
export type { TransportErrorCode } from "./errors.js";
export { TransportError } from "./errors.js";
export type { Body } from "./facade/body.js";
export type { CallOptions, Coap } from "./facade/coap.js";
export { coap } from "./facade/coap.js";
export { Response } from "./facade/response.js";
export type { Handler, ObservableResource, Result, Server, ServerOptions } from "./facade/server.js";
export { createServer } from "./facade/server.js";
export type { ParsedCoapUri } from "./message/coap-uri.js";
export { defaultPortOf, formatAuthority, parseCoapUri } from "./message/coap-uri.js";
export { codeName } from "./message/code-names.js";
export {
  ALL_COAP_NODES,
  ALL_RESOURCE_DIRECTORIES,
  CODE,
  CONTENT_FORMAT,
  DEFAULT_LIMITS,
  DEFAULT_MAX_AGE_S,
  DEFAULT_PARAMETERS,
  DEFAULT_PORT,
  formatCode,
  METHOD,
  OPTION,
  SAFE_METHODS,
} from "./message/codes.js";
export { createCounters } from "./message/counters.js";
export { isSecure, leadsAstray } from "./message/followable-uri.js";
export { GrowingBytes } from "./message/growing-bytes.js";
export { addressHolder, isMulticastAddress } from "./message/ip-address.js";
export type { Message, OutgoingMessage } from "./message/message.js";
export { isRequestCode } from "./message/message.js";
export { optionsLength, readOptions, sortOptions, writeOptions } from "./message/option-codec.js";
export { decodeUint, encodeUint } from "./message/option-values.js";
export type { PreconditionTarget } from "./message/preconditions.js";
export { meetsPrecondition } from "./message/preconditions.js";
export type { Transmission, TransmissionListener } from "./message/transmission.js";
export type { ListenCoapDeps, ListenCoapOptions, MulticastOptions } from "./node/coap-listener.js";
export { listenCoap } from "./node/coap-listener.js";
export type { ListInterfaces } from "./node/host-interfaces.js";
export { HostInterfaces } from "./node/host-interfaces.js";
export type { OpenCoapClientDeps, OpenCoapClientOptions, TlsServerName } from "./node/open-client.js";
export { openCoapClient } from "./node/open-client.js";
export { openUdpSocket } from "./node/udp-socket.js";
export type { OpenUdpSocketOptions } from "./node/udp-socket-options.js";
export { protectedCapacity } from "./protection/protected-capacity.js";
export type { OpenedRequest, RefusedRequest, ServerProtection } from "./protection/server-protection.js";
export type {
  AmplificationGuard,
  AmplificationGuardDeps,
  AmplificationGuardOptions,
} from "./server/amplification-guard.js";
export { createAmplificationGuard } from "./server/amplification-guard.js";
export { errorResponse } from "./server/response.js";
export type { ConnectStream } from "./tcp/client.js";
export { encodeFrame, StreamParser } from "./tcp/framing.js";
export type { StreamLimits } from "./tcp/limits.js";
export { DEFAULT_STREAM_LIMITS } from "./tcp/limits.js";
export { SharedConnections } from "./tcp/shared-connections.js";
export type { StreamListener, StreamSocket } from "./tcp/stream-socket.js";
export type {
  AskPeer,
  ClientRequest,
  ClientResponse,
  CoapClient,
  CoapListener,
  CoapListenerHandle,
  CoapOption,
  DatagramPeer,
  DatagramSocket,
  KeepAlive,
  LocalAddress,
  Observation,
  ObservationControl,
  ObservationEnd,
  ObservationListener,
  ObservationSource,
  ObservedResource,
  Observer,
  Peer,
  PeerConnection,
  PeerIdentity,
  Precondition,
  RequestControl,
  RequestHandler,
  ResponseValidity,
  ServerRequest,
  ServerResponse,
  SourceProof,
  TableSizes,
  TlsCertificate,
  TlsClientCredentials,
  TlsServerCredentials,
  TransmissionParameters,
  TransportCounters,
  TransportLimits,
  UnfinishedBody,
} from "./types.js";
export { traceDatagram } from "./udp/datagram-trace.js";
export type { CoapEndpoint, CoapEndpointDeps, CoapEndpointOptions } from "./udp/endpoint.js";
export { createCoapEndpoint } from "./udp/endpoint.js";
export { encodeDatagram, parseDatagram } from "./udp/message-codec.js";
