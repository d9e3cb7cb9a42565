// Installs the programs that the interop tests talk to: libcoap's client (Debian) and aiocoap (PyPI, in .test-peers/venv).
// Says what it could not install; tests that need it then fail where CI is set, and are skipped elsewhere.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const AIOCOAP = "aiocoap[linkheader,prettyprint]==0.4.17";
const folder = fileURLToPath(new URL("../.test-peers", import.meta.url));
const stampFile = join(folder, "stamp");
const DEBIAN = { "libcoap3-bin": "/usr/bin/coap-client-notls", iproute2: "/usr/sbin/ip" };

mkdirSync(folder, { recursive: true });
installDebianPackages();
installAiocoap();

function installDebianPackages() {
  const missing = Object.entries(DEBIAN).filter(
    ([, file]) => !existsSync(file) && !existsSync(file.replace("/usr/sbin", "/sbin")),
  );
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0)
    return console.log(`not installed (needs root): ${missing.map(([name]) => name).join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  spawnSync("apt-get", ["update", "-qq"], { env, stdio: "inherit" });
  spawnSync("apt-get", ["install", "-y", "-qq", ...missing.map(([name]) => name)], { env, stdio: "inherit" });
}

function installAiocoap() {
  const venv = join(folder, "venv");
  if (
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === AIOCOAP &&
    existsSync(join(venv, "bin/aiocoap-client"))
  )
    return;
  const made = spawnSync("python3", ["-m", "venv", "--clear", venv], { stdio: "inherit" });
  const installed =
    made.status === 0 && spawnSync(join(venv, "bin/pip"), ["install", "-q", AIOCOAP], { stdio: "inherit" });
  if (installed && installed.status === 0) writeFileSync(stampFile, AIOCOAP);
  else console.log("aiocoap could not be installed");
}
