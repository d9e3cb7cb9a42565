// Merge what two directories report about the same endpoint. Run: node docs/examples/merge-directories.mjs
import { parseLookupQuery, serialiseLinks } from "@tributary/link-model";
import { createDirectory } from "@tributary/merge-engine";

const directory = createDirectory();
directory.on("visible", ({ cause, ep, before, after }) => {
  console.log(`${ep} ${cause}: ${before?.shownHref ?? "nothing"} -> ${after?.shownHref ?? "nothing"}`);
});

for (const name of ["rd-b", "rd-c"]) {
  directory.openSource(name, { authority: `coap://${name}.example` });
  directory.setConnected(name, true, 0);
}

/** Time is an argument everywhere: milliseconds on any monotonic clock. */
function report(source, href, nowMs, ltMs = 90_000_000) {
  const links = [{ target: "coap://endpoint1.example/sensors/temp", attributes: [["if", "core.s"]] }];
  const registration = { href, ep: "endpoint1", base: "coap://endpoint1.example", attributes: [], links, ltMs };
  directory.put(source, { ...registration, renewedAtMs: nowMs, expiresAtMs: nowMs + ltMs, expiry: "exact" }, nowMs);
}

report("rd-c", "/reg/42", 1000);
report("rd-b", "/reg/11", 60_000, 30_000); // it moved: the newer registration evicts the older

const { query } = parseLookupQuery(["if=core.s", "provenance"]);
console.log(serialiseLinks(directory.lookup("res", query, 61_000)));

directory.expire(90_000); // the newer one ends first: the older shows again
