export type {
  AmplificationGuard,
  AmplificationGuardDeps,
  AmplificationGuardOptions,
} from "./amplification-guard.js";
export { createAmplificationGuard } from "./amplification-guard.js";
export type { CoapEndpoint, CoapEndpointDeps, CoapEndpointOptions } from "./coap-endpoint.js";
export { createCoapEndpoint } from "./coap-endpoint.js";
export type { ListenCoapDeps, ListenCoapOptions, MulticastOptions } from "./coap-listener.js";
export { listenCoap } from "./coap-listener.js";
export type { ParsedCoapUri } from "./coap-uri.js";
export { formatAuthority, parseCoapUri } from "./coap-uri.js";
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
} from "./constants.js";
export type { Clock, Environment, Logger, Random, Timer } from "./environment.js";
export type { TransportErrorCode } from "./errors.js";
export { TransportError } from "./errors.js";
export type { Body } from "./facade/body.js";
export { type CallOptions, type Coap, coap } from "./facade/coap.js";
export { codeName } from "./facade/code-names.js";
export { Response } from "./facade/response.js";
export {
  createServer,
  type Handler,
  type ObservableResource,
  type Result,
  type Server,
  type ServerOptions,
} from "./facade/server.js";
export { leadsAstray } from "./followable-uri.js";
export { GrowingBytes } from "./growing-bytes.js";
export type { ListInterfaces } from "./host-interfaces.js";
export { HostInterfaces } from "./host-interfaces.js";
export { addressHolder, isMulticastAddress } from "./ip-address.js";
export { openUdpSocket } from "./node-udp.js";
export type { OpenCoapClientDeps, OpenCoapClientOptions } from "./open-client.js";
export { openCoapClient } from "./open-client.js";
export { decodeUint, encodeUint } from "./option-values.js";
export { errorResponse } from "./outgoing-response.js";
export { meetsPrecondition, type PreconditionTarget } from "./preconditions.js";
export type { StreamListener, StreamSocket } from "./stream-socket.js";
export { silentLogger, systemClock } from "./system-environment.js";
export type { ConnectStream } from "./tcp-client.js";
export type { StreamLimits } from "./tcp-options.js";
export { DEFAULT_STREAM_LIMITS } from "./tcp-options.js";
export { inTurns, Turns, type TurnTask, turnsOf } from "./turns.js";
export type {
  AnswerLife,
  AskPeer,
  ClientRequest,
  ClientResponse,
  CoapClient,
  CoapListener,
  CoapListenerHandle,
  CoapOption,
  DatagramPeer,
  DatagramSocket,
  LocalAddress,
  Observation,
  ObservationControl,
  ObservationEnd,
  ObservationListener,
  ObservationSource,
  ObservedResource,
  Observer,
  Peer,
  Precondition,
  RequestControl,
  RequestHandler,
  ServerRequest,
  ServerResponse,
  SourceProof,
  TableSizes,
  TransmissionParameters,
  TransportCounters,
  TransportEnvironment,
  TransportLimits,
  UnfinishedBody,
} from "./types.js";
export { createCounters } from "./udp-core.js";
export type { OpenUdpSocketOptions } from "./udp-socket-options.js";
