/** Link-format documents to start from: as of the RFCs, of devices, and some that are wrong. */
export const DOCUMENTS = [
  '</sensors/temp>;rt="temperature-c";if="sensor",</sensors/light>;rt="light-lux";if="sensor"',
  '</sensors>;ct=40;title="Sensor Index",</t>;anchor="/sensors/temp";rel="alternate"',
  '<http://www.example.com/sensors/t123>;anchor="/sensors/temp";rel="describedby"',
  '</a>;obs,</b>;sz=1024;ct="0 40 60"',
  "</x>;title*=UTF-8''%e2%82%ac;rt=t",
  "<coap://[2001:db8::99]:61616/a>;rt=x;rt=y",
  '</reg/1>;provenance="/reg/2";lt-age=5',
  "<>",
  "",
  "</a",
  "a,b,c",
  `${"</s>;rt=t,".repeat(150)}</end>`,
] as const;

export const PATHS = [
  "rd-lookup/ep",
  "rd-lookup/res",
  ".well-known/core",
  "rd",
  "nothing/here",
  "rd-lookup/ep/",
  "",
] as const;

/** Query items of every kind that is understood, and some that are not. */
export const ITEMS = [
  "ep=a*",
  "d=s",
  "lt=60",
  "lt=4294967295",
  "lt=0",
  "lt=1",
  "base=coap://[2001:db8::5]",
  "base=coap://h/..",
  "rt=temperature-c",
  "rt=t*",
  "if=sensor",
  "href=/*",
  "href=coap://*",
  "provenance",
  "provenance=/*",
  "lt-age",
  "page=0",
  "count=2",
  "count=4294967296",
  "page=9",
  "et=x",
  "anchor=/sensors/temp",
  "=",
  "",
  "*",
  "ep",
  "ep=",
  "obs",
] as const;

/** Configurations to start from. */
export const CONFIGURATIONS = [
  "registration: {}\n",
  'name: rd\nlisten: ["coap://[::]:5683"]\nhttp: false\nregistration:\n  replicas: ["loopback", "2001:db8::/32"]\n',
  "lookup:\n  upstreams:\n    - coap://[2001:db8::1]\n    - { name: b, uri: coap://[2001:db8::2], mode: forward, timeout: 2s }\n",
  'lookup:\n  upstreams:\n    - name: c\n      uri: coap://h\n      filters: ["d=x&rt=y*"]\n  on-partial: fail\nlimits: { observers: 5 }\n',
  "registration: {}\nlimits: { registrations: 1000, registration-bytes: 4096 }\namplification: { free-bytes: 136, trusted: [any] }\nlog: { level: debug, format: json }\n",
  "advertise:\n  - '<coap://[2001:db8::2]/rd>;rt=\"core.rd\"'\nregistration: &r {}\n",
] as const;
