// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of variables is a part of it
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadConfigAndContexts } from "../oscore/check-contexts.js";
import { formatConfigError } from "./errors.js";

const BROKEN = fileURLToPath(new URL("../../../../test/config/broken/", import.meta.url));

const NOT_ROLE =
  'there is neither lookup nor registration, so this node would do nothing; add "registration: {}" or lookup';
const EMPTY = 'the file is empty; write at least "registration: {}", or start without a file';
const NAME = "write 1 to 63 letters, digits or one of . _ : ~ % [ ] -";
const DURATION = "write a number with ms, s, m, h or d, such as 500ms or 2s";
const HOST_NAME = 'write a host name without scheme and port, such as "lp.example.com"';
const HTTP = 'write "host:port" such as "127.0.0.1:8683" or "[::1]:8683", or false';
const DEFICIENT =
  "not YAML: deficient indentation; close the bracket or quote before, and indent entries of one mapping alike";
const MEMBER = "write an IPv4 address and a port, such as 192.0.2.1:49737";
const URI = "write coap://[2001:db8::1]:5683";

/** Every broken file with all of its errors, `line:column: what is wrong; what would be right`. */
const STORE =
  "write memory, lmdb: and the path of a folder, such as lmdb:./state, or nats:// and the address of a server";
const ROWS: Readonly<Record<string, readonly string[]>> = {
  "alias-of-nothing": ["2:13: alias *trusted of nothing; write &trusted before the value that it repeats"],
  "anycast-empty": ["3:19: peers is an empty list; write at least one, or remove anycast"],
  "anycast-own-name": [
    '4:14: freshness is "always"; write none or echo',
    "5:19: name rd-a is taken by this node; choose another",
  ],
  "anycast-without-peers": ['3:1: peers is nothing; write a list: [{ name: rd-b, uri: "coap://[2001:db8::2]" }]'],
  "bad-variable": [
    "1:7: ${ begins no name of a variable; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves",
  ],
  "bad-advertise": [
    "3:5: advertise has the relative URI </rd>; write it with scheme and host",
    "4:5: advertise has a link that cannot be read: expected a target in `<` and `>` at offset 0 (character 1); " +
      `write '<coap://[2001:db8::1]/rd>;rt="core.rd"'`,
  ],
  "bad-amplification": [
    '1:28: freshness is "sometimes"; write none or echo',
    "3:15: free-bytes is -1; write a whole number from 0 to 65507",
    '4:13: trusted has "localhost"; write loopback, private, any or a CIDR block such as 2001:db8::/32',
  ],
  "bad-anycast": [
    "4:3: nodes that share an address need names of their own; add name",
    `4:12: timeout is "forever"; ${DURATION}`,
    '5:3: unknown key "hops" in anycast; valid keys are peers, timeout, failover, freshness, concurrency',
    "7:7: name is missing; add the name that this peer gives itself in its own file",
    '7:49: lookup is "yes"; write true or false',
    "8:26: coap://[2001:db8:a::1] is an address of this node; write the peer's own one",
    "9:15: name rd-c is taken by peer 2; choose another",
    "9:26: coap://[2001:db8:23::2] is peer 1 already; write the peer's own address",
    "10:7: a peer without registration and lookup does nothing; remove it",
    '11:7: a peer is "coap://[2001:db8:23::5]"; write a mapping with name and uri',
  ],
  "bad-cache": [
    "3:21: entries is -1; write a whole number from 0 to 10000000",
    "3:32: bytes is 10; write a whole number from 65536 to 68719476736",
    `3:43: stale is "forever"; ${DURATION}`,
    '3:67: observe-after is "often"; write a whole number from 0 to 1000000',
    '3:74: unknown key "observation" in lookup.cache; did you mean "observations"?',
  ],
  "bad-durations": [
    `2:12: timeout is "2x"; ${DURATION}`,
    `3:21: assumed-lifetime is -5; ${DURATION}`,
    "5:47: poll is out of range: 0; write 1s to 1d",
    '5:59: timeout is out of range: "2h"; write 10ms to 1h',
  ],
  "bad-filters": [
    '4:17: filters: a criterion without name in "d=x&"; write "name=value" between the &',
    '4:25: filters: page does not select registrations; remove it from "page=1&count=2"',
    '4:43: filters has 5; write criteria such as "d=x&rt=y*"',
    '6:16: filters is "d=x"; write a list: ["d=facility23"]',
  ],
  "bad-http": [`1:7: http is 8683; ${HTTP}`],
  "bad-global": [
    '4:13: listen has "0.0.0.0:49737"; write the address at which the others reach one member',
    `5:17: bootstrap has "192.0.2.2"; ${MEMBER}`,
    `5:30: bootstrap has "rd.example.com:49737"; ${MEMBER}`,
    `5:54: bootstrap has "192.0.2.3:0"; ${MEMBER}`,
    `5:69: bootstrap has 7; ${MEMBER}`,
    "6:14: records is 10; write a whole number from 1000 to 10000000",
    '7:8: key is ""; write the path of a file',
    "8:10: no endpoint is proxied without registration.proxy; write names: all, or add it",
    '9:15: addresses "http://192.0.2.1": http is not CoAP; write coap://',
    '9:35: addresses "coap://[2001:db8::1]/rd" has a path or query; write scheme, host and port alone: paths are found by discovery',
    '10:11: allow has "everywhere"; write loopback, private, any or a CIDR block such as 2001:db8::/32',
    "11:9: rate is 0; write a whole number from 1 to 1000",
    '12:12: refresh is out of range: "7h"; write 1m to 6h',
    '13:12: timeout is out of range: "1ms"; write 100ms to 1m',
    '14:3: unknown key "peers" in global; it belongs under anycast',
  ],
  "bad-http-names": [
    `2:14: http-names has "https://lp.example.com"; ${HOST_NAME}`,
    `2:56: http-names has "lp:80"; ${HOST_NAME}`,
    `2:65: http-names has ""; ${HOST_NAME}`,
    `2:69: http-names has 5; ${HOST_NAME}`,
  ],
  "bad-http-origins": [
    '2:16: http-origins has "dashboard.example.com"; write scheme, host and port of a web page, such as "https://dashboard.example.com", or "*" for all',
    '2:41: http-origins has "https://dashboard.example.com/x"; write it as browsers do: https://dashboard.example.com',
  ],
  "bad-http-port": ["1:7: http has port 86830; write a port from 0 to 65535"],
  "bad-limits": [
    '3:18: registrations is "many"; write a whole number from 1 to 100000000',
    "4:23: registration-bytes is 10; write a whole number from 64 to 16777216",
    '5:11: memory is "64M"; write a whole number from 1048576 to 1099511627776',
    '6:3: unknown key "observer" in limits; did you mean "observers"?',
  ],
  "bad-log": ['2:6: log is "verbose"; write its settings below it'],
  "bad-log-level": [
    '2:15: level is "verbose"; write error, warn, info, debug or trace',
    '2:32: format is "xml"; write text or json',
  ],
  "bad-authorities": [
    '4:54: authorities is "coap://rd.example.com"; write a list: ["coap://rd.example.com"]',
    '6:21: authorities has "rd.example.com", which is not a URI; write scheme and host, such as coap://rd.example.com',
    "6:37: authorities has 7; write scheme and host, such as coap://rd.example.com",
    '6:40: authorities has "coap://rd.example.com/rd" with a path or query; write scheme, host and port alone: coap://rd.example.com',
    "6:68: coap://[2001:db8:23::1] is upstream 1, which is another RD; remove one of them",
    "6:100: coap://[2001:db8:23::9] is this node itself; remove it",
    '7:52: elsewhere is "maybe"; write true or false',
    "8:66: a proxy says under which URI each registration is known at its RD; remove authorities, or tier",
  ],
  "bad-replicas": [
    '4:7: replicas has "everyone"; write loopback, private, any or a CIDR block such as 2001:db8::/32',
    "5:7: replicas has an address without prefix length; write 10.0.0.1/32",
    '6:7: replicas has "2001:db8::/129"; write a prefix length from 0 to 128',
    "7:7: replicas has 7; write loopback, private, any or a CIDR block",
  ],
  "bad-tier": [
    "3:13: registration.replicas says who may replicate this node; remove this one",
    '5:47: tier is "yes"; write true or false',
    "6:59: mode forward would ask a proxy what it may have to ask others; write mode: replicate, or remove tier",
  ],
  "bad-nats": [
    "4:17: servers has a URL with a user; write the user as user and password-file, or a file with credentials as credentials",
    '4:46: servers has "http://h"; write nats:// or tls:// with host and port, such as nats://[2001:db8::1]:4222',
    '4:58: servers has "nats://h:99999"; write nats:// or tls:// with host and port, such as nats://[2001:db8::1]:4222',
    '5:15: stream is "a b"; write 1 to 64 letters, digits, - or _',
    "6:17: replicas is 9; write a whole number from 1 to 5",
    '7:7: unknown key "passwort" in registration.store.nats; valid keys are servers, stream, replicas, partition, journal, credentials, user, password-file, monitoring, tls',
    '8:18: ca is ""; write the path of a file',
    '9:20: monitoring has "127.0.0.1:8222"; write scheme, host and port, such as http://[2001:db8::1]:8222',
    '9:38: monitoring has "http://h/varz"; write scheme, host and port, such as http://[2001:db8::1]:8222',
  ],
  "bad-partition": ["4:18: accept keeps what it takes in a folder; add journal, such as journal: ./state/split"],
  "bad-partition-journal": [
    "5:16: nothing is written to a journal while registrations are refused; add partition: accept, or remove it",
  ],
  "bad-partition-word": [
    '4:18: partition is "allow"; write refuse or accept',
    '5:16: journal is ""; write the path of a folder',
  ],
  "bad-nats-short": [
    '1:24: store has "h2"; write nats:// or tls:// with host and port, such as nats://[2001:db8::1]:4222',
  ],
  "bad-transport": [
    '3:49: transport is "dtls"; write auto, udp or tcp',
    "4:53: transport: udp contradicts the scheme of uri; write coap:// there, or remove transport",
  ],
  "bad-uris": [
    "3:26: uris is an empty list; write the URIs of the instances of one RD",
    "4:25: uri and uris exclude each other; write it first in uris",
    "5:53: the first of uris has coap; write the same scheme",
    "5:81: coap://[2001:db8::3] is listed twice; remove one of them",
    "6:28: coap://[2001:db8::3] is upstream 3 already; remove one of them",
    '6:52: uris "rd.example.com" is not a URI; write coap://[2001:db8::1]:5683',
    '7:27: uris is "coap://[2001:db8::5]"; write a list: ["coap://[2001:db8::1]", "coap://[2001:db8::2]"]',
  ],
  "byte-order-mark": ['4:8: unknown key "forät" in log; did you mean "format"?'],
  "cache-number": ["3:10: cache is 1000; write its settings below it"],
  "comment-only": [`1:1: ${EMPTY}`],
  "duplicate-key": ['3:1: duplicate key "name"; remove one of them'],
  empty: [`1:1: ${EMPTY}`],
  "empty-values": [
    `2:1: name is nothing; ${NAME}`,
    `3:1: http is nothing; ${HTTP}`,
    "5:3: listen is nothing; write a URI such as coap://[2001:db8::1]",
  ],
  "foreign-key": ['2:3: unknown key "colour" in registration; valid keys are store, replicas, freshness, proxy'],
  "forward-with-filters": [
    "5:16: mode forward replicates nothing that filters could narrow; remove filters, or write mode: replicate",
  ],
  "global-bootstrap": ["3:49: bootstrap is an empty list; write members of the pool, such as 192.0.2.2:49737"],
  "global-without-pool": [
    "3:3: pool is nothing; write its settings below it",
    "3:10: names are those of registrations, and without registration there are none; remove it",
  ],
  "key-is-a-list": ["1:3: a key that is not text; write a name, without brackets"],
  "listen-bad-uri": [
    `2:5: listen "localhost:5683" is not a URI; ${URI}`,
    `3:5: listen "coap://[::1": the host is missing or malformed; ${URI}`,
    '4:5: listen "coap://localhost/rd" has a path or query; write scheme, host and port alone: paths are found by discovery',
    `5:5: listen "coap://localhost:99999": the port is larger than 65535; ${URI}`,
  ],
  "listen-empty": ['1:9: listen is an empty list; write at least one URI, such as "coap://[::]:5683"'],
  "listen-not-a-list": ['1:9: listen is "coap://[::]:5683"; write a list: ["coap://[::]:5683"]'],
  "listen-twice": ["1:36: coap://[2001:db8::1] is listed twice; remove one of them"],
  "misaligned-key": [
    "5:3: not YAML: this line is indented by 2, and no entry above it by that; indent it by 0 or 1 or 3, like the entries it belongs to",
  ],
  "misplaced-key": ['2:1: unknown key "upstreams"; it belongs under lookup'],
  "mode-auto": [
    '3:47: mode is "replicat"; write replicate, forward or auto',
    "6:16: mode auto finds out by itself what to replicate; remove filters, or write mode: replicate",
    "7:22: threshold is 1; write a whole number from 2 to 10000",
    '7:33: window is "soon"; write a number with ms, s, m, h or d, such as 500ms or 2s',
    "7:47: budget is 0; write a whole number from 1 to 100000000",
    '7:50: unknown key "familes" in lookup.auto; did you mean "families"?',
  ],
  "name-number": ['1:7: name is a number; write it in quotes: "12"'],
  "no-role": [`2:1: ${NOT_ROLE}`],
  "not-a-mapping": ['1:1: the file contains a list; write a mapping such as "registration: {}"'],
  "not-utf8": ["1:1: the file is not UTF-8; save it in that encoding"],
  "on-partial": [
    '2:15: on-partial is "ignore"; write serve or fail',
    "3:16: concurrency is 0; write a whole number from 1 to 1024",
  ],
  "scheme-not-available": [
    '3:5: listen "coaps://[::]": coaps is not available yet; write coaps+tcp://',
    "4:5: coaps+tcp://[::] needs a certificate or pre-shared keys; add tls with cert and key, or with psk",
    '5:5: listen "http://[::]": http is not CoAP; write coap://',
  ],
  "bad-tls": [
    "3:9: cert without key; add key",
    "4:12: certificates of clients are verified with ca; add it, or remove clients",
    '5:14: psk has the identity ""; write 1 to 128 bytes',
    "5:32: the key of lamp-7 is 12; write the path of a file",
    '6:3: unknown key "chain" in tls; valid keys are ca, cert, key, clients, psk',
    "10:12: tls is not used with coap://[2001:db8::1]; write coaps+tcp:// there, or remove tls",
    "12:18: transport: udp contradicts the scheme of uri; write coap:// there, or remove transport",
    "13:18: the pre-shared key proves both sides; remove ca, or psk",
    "13:31: this node has one identity at an upstream; write one",
    "15:19: key without cert; add cert",
    `15:40: server-name has "rd example"; ${HOST_NAME}`,
    "16:23: handshakes is 0; write a whole number from 1 to 1000000",
  ],
  "bad-oscore": [
    "3:3: contexts is missing; add the path of a folder, such as contexts: ./oscore",
    '3:3: unknown key "context" in oscore; did you mean "contexts"?',
    "7:15: oscore is 7; write the name of a folder in oscore.contexts",
    '8:46: oscore is "a/b/c"; write the name of a folder in oscore.contexts',
  ],
  "oscore-no-such-folder": [
    `2:21: ${BROKEN}no-such-folder: it cannot be read as a folder: there is no such folder; check the path`,
  ],
  "oscore-not-a-folder": [
    `3:13: ${BROKEN}oscore-not-a-folder.yaml: it cannot be read as a folder: it is a file; write the path of a folder`,
  ],
  "oscore-without-folder": [
    "3:46: the contexts are in a folder of the node; add oscore: { contexts: FOLDER } at the top level",
  ],
  several: [
    `1:7: name is "lp z"; ${NAME}`,
    '2:10: listen "coaps://[::]": coaps is not available yet; write coaps+tcp://',
    '4:3: unknown key "timout" in lookup; did you mean "timeout"?',
    '6:15: name "local" is reserved for the registrations of the node itself; choose another',
    "7:7: coap://[2001:db8:23::1] is upstream 1 already; remove one of them",
    `9:10: store is "etcd://127.0.0.1:4222"; ${STORE}`,
    '10:16: format is "yaml"; write text or json',
  ],
  "snapshot-in-store": ["3:11: state is the folder of the store; choose another"],
  "snapshot-without-lookup": [
    "2:11: snapshot stores copies of upstreams, and without lookup there are none; remove it",
  ],
  "store-without-path": [`2:10: store is "lmdb:"; ${STORE}`],
  "store-unknown": [`2:10: store is "disk"; ${STORE}`],
  "tab-indentation": ["2:1: not YAML: tab characters must not be used in indentation; indent with spaces"],
  "tls-files": [
    `3:9: ${BROKEN}no-such-file.pem cannot be read: there is no such file; check the path`,
    `4:8: ${BROKEN}no-such-file.key cannot be read: there is no such file; check the path`,
    `5:7: ${BROKEN}tls-files.yaml has no certificate; write one in PEM`,
    `6:18: ${BROKEN}no-such-folder/lamp-7.key cannot be read: there is no such file; check the path`,
    `10:27: ${BROKEN.replace(/\/$/, "")} is a directory; write the path of a file`,
  ],
  "tls-unused": ["2:6: no URI has coaps+tcp, so tls has no effect; remove it, or write such a URI"],
  "tls-without-credentials": [
    "2:13: psk is empty; write an identity and the path of the file with its key, such as { lamp-7: lamp-7.key }",
    "4:50: coaps+tcp://rd.example.com is upstream 1 already; remove one of them",
  ],
  "two-documents": ["3:1: a second document begins here; keep one document in the file"],
  "unclosed-bracket": [`2:1: ${DEFICIENT}`],
  "unclosed-quote": [`3:1: ${DEFICIENT}`],
  "unknown-key": ['2:1: unknown key "listn"; did you mean "listen"?'],
  "unknown-nested-key": ['5:7: unknown key "time-out" in lookup.upstreams; did you mean "timeout"?'],
  "unknown-tag": ["2:7: unknown tag !secret; remove it"],
  "unquoted-colon": [
    '2:9: not YAML: bad indentation of a mapping entry; put the value in quotes when it contains ": "',
  ],
  "unset-variable": [
    `3:5: listen "coap://2001:db8::1": the IPv6 address 2001:db8::1 has no brackets; ${URI}`,
    "4:7: the environment variable TRIBUTARY_TEST_UNSET is not set; set it, or write ${TRIBUTARY_TEST_UNSET:-default}",
  ],
  "upstream-is-self": ["3:15: coap://[2001:db8:23::1] is this node itself; remove it"],
  "upstream-name-reserved": ['3:13: name "local" is reserved for the registrations of the node itself; choose another'],
  "upstream-name-twice": ["4:15: name rd-a is taken by upstream 1; choose another"],
  "upstream-twice": ["4:26: coap://[2001:db8:23::1] is upstream 1 already; remove one of them"],
  "upstream-without-uri": [
    '3:7: uri is missing; add uri: "coap://[2001:db8::1]"',
    "4:5: an upstream is nothing; write its URI, or a mapping with name and uri",
  ],
  "windows-line-ends": [
    `2:7: name is "bad name"; ${NAME}`,
    '4:10: level is "loud"; write error, warn, info, debug or trace',
  ],
};

async function errorsOf(path: string): Promise<string[]> {
  const result = await loadConfigAndContexts(path);
  return result.ok ? [] : result.errors.map(formatConfigError);
}

describe("broken configuration files", () => {
  test("every file of the folder has its row", () => {
    expect(readdirSync(BROKEN).sort()).toEqual(
      Object.keys(ROWS)
        .map((name) => `${name}.yaml`)
        .sort(),
    );
  });

  test.each(Object.entries(ROWS))("%s is reported with position and correction", async (name, expected) => {
    const path = `${BROKEN}${name}.yaml`;
    expect(await errorsOf(path)).toEqual(expected.map((line) => `${path}:${line}`));
  });

  test.each([
    { name: "a missing file", path: `${BROKEN}none.yaml`, message: "there is no such file; check the path after -c" },
    {
      name: "a file below a file",
      path: `${BROKEN}several.yaml/x`,
      message: "there is no such file; check the path after -c",
    },
    { name: "a directory", path: BROKEN, message: "it is a directory; give the path of a file" },
  ])("$name is reported", async ({ path, message }) => {
    expect(await errorsOf(path)).toEqual([`${path}:1:1: the file cannot be read: ${message}`]);
  });
});
