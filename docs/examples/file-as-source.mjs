// A file of links as one more source beside an RD: what it lists is merged, and follows the file. Run: node docs/examples/file-as-source.mjs
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseLinkFormat, parseLookupQuery, serialiseLinks } from "@tributary/link-model";
import { createDirectory } from "@tributary/merge-engine";

const folder = mkdtempSync(join(tmpdir(), "example-"));
const file = join(folder, "wired.wlnk");
const directory = createDirectory();
directory.on("source", ({ kind, source, registration }) => console.log(`${source}: ${registration.ep} ${kind}`));

/** Everything that a line of the file says replaces what it said before; what is gone from the file is gone from the directory. */
function readInto(source, nowMs) {
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const listed = new Set();
  for (const line of lines) {
    const [ep, base, ...rest] = line.split(" ");
    const parsed = parseLinkFormat(rest.join(" "));
    if (!parsed.ok) throw new Error(`${file}: ${parsed.error.message}`);
    const links = parsed.links.map((link) => ({ ...link, target: base + link.target }));
    const href = `/${ep}`;
    listed.add(href);
    // A file has no lifetimes: what it lists is there until it lists it no longer.
    const lasts = { renewedAtMs: nowMs, expiresAtMs: Number.POSITIVE_INFINITY, expiry: "assumed" };
    directory.put(source, { href, ep, base, attributes: [], links, ...lasts }, nowMs);
  }
  for (const href of [...directory.hrefs(source)]) if (!listed.has(href)) directory.remove(source, href, nowMs);
}

directory.openSource("wired", { authority: "coap://wired.example" });
directory.setConnected("wired", true, 0);
writeFileSync(file, 'door coap://10.0.0.1 </state>;rt="door"\nlamp coap://10.0.0.2 </on>;rt="lamp"\n');
readInto("wired", 1000);
// Somebody edits the file: the lamp is taken away, and the door has a bell.
writeFileSync(file, 'door coap://10.0.0.1 </state>;rt="door",</bell>;rt="bell"\n');
readInto("wired", 2000);

const { query } = parseLookupQuery(["rt=bell"]);
console.log(serialiseLinks(directory.lookup("res", query, 3000)));
rmSync(folder, { recursive: true });
