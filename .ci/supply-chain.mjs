/**
 * What is judged and listed of the packages that others made: functions of a parsed lock file and of manifests. Each check
 * returns what is wrong, a line for each package.
 */

/** Licences that ask for no more than their own text and notices to be passed on, which the packages do. */
export const PERMITTED_LICENCES = new Map([
  ["MIT", "permissive: the notice is kept"],
  ["ISC", "permissive: the notice is kept"],
  ["0BSD", "permissive: no conditions"],
  ["BSD-2-Clause", "permissive: the notice is kept"],
  ["BSD-3-Clause", "permissive: the notice is kept, and names are not used to advertise"],
  ["Apache-2.0", "permissive: the notice is kept and changes are stated; grants patents"],
  ["BlueOak-1.0.0", "permissive: the text or a link to it is kept; grants patents"],
  ["PSF-2.0", "permissive: the notice is kept and changes are stated; argparse, which comes from Python"],
  ["Unlicense", "public domain: no conditions"],
]);

const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall"];
const SEMANTIC_VERSION = /^\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?$/;
const INTEGRITY = /^sha512-[A-Za-z0-9+/]{86}==$/;

/**
 * The licence that a manifest names, also in the forms of old manifests; undefined where it names none.
 * @param {{ license?: any, licenses?: any }} manifest
 */
export function licenceOf({ license, licenses }) {
  if (typeof license === "string") return license;
  if (typeof license?.type === "string") return license.type;
  const types = Array.isArray(licenses) ? licenses.map((one) => one.type ?? one) : [];
  return types.length === 0 ? undefined : types.join(" OR ");
}

/** Whether an SPDX expression leaves a choice of permitted licences. What is no expression is not permitted. */
export function isPermitted(expression) {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  const either = () => {
    let result = both();
    while (tokens[0] === "OR") {
      tokens.shift();
      // Evaluated in any case: it takes its tokens.
      const other = both();
      result = result || other;
    }
    return result;
  };
  const both = () => {
    let result = one();
    while (tokens[0] === "AND") {
      tokens.shift();
      const other = one();
      result = result && other;
    }
    return result;
  };
  const one = () => {
    const token = tokens.shift();
    if (token !== "(") return PERMITTED_LICENCES.has(token);
    const result = either();
    return tokens.shift() === ")" && result;
  };
  return either() && tokens.length === 0;
}

/** Components without a permitted licence. Those for other platforms are not here to be read. */
export function checkLicences(components) {
  return components.flatMap(({ name, version, licence, isElsewhere }) => {
    if (isElsewhere) return [];
    if (licence === undefined) return [`${name}@${version} names no licence`];
    return isPermitted(licence) ? [] : [`${name}@${version} has the licence ${licence}, which is not permitted`];
  });
}

/** Entries of a lock file that are not from the registry, or whose contents are not fixed by a hash. */
export function checkLock({ packages, importers }) {
  const foreign = Object.entries(packages).flatMap(([key, { resolution = {} }]) => {
    const { integrity, ...other } = resolution;
    const { version } = nameAndVersion(key);
    if (!SEMANTIC_VERSION.test(version)) return [`${key} is not from the registry`];
    if (Object.keys(other).length > 0)
      return [`${key} is not from the registry: it has ${Object.keys(other).join(", ")}`];
    if (integrity === undefined) return [`${key} has no integrity hash`];
    return INTEGRITY.test(integrity) ? [] : [`${key} has an integrity hash other than SHA-512: ${integrity}`];
  });
  const links = Object.entries(importers).flatMap(([importer, lists]) =>
    Object.entries({ ...lists.dependencies, ...lists.devDependencies, ...lists.optionalDependencies })
      .filter(([, { version }]) => version.startsWith("link:") && !(linked(importer, version) in importers))
      .map(([name, { version }]) => `${name} leads outside of the workspace: ${version}`),
  );
  return [...foreign, ...links];
}

/**
 * Install scripts that would run without having been permitted, or about which nothing was decided.
 * @param {any[]} manifests
 * @param {any} workspace
 */
export function checkInstallScripts(manifests, workspace) {
  const { allowBuilds = {}, onlyBuiltDependencies = [], ...settings } = workspace;
  const undecided = manifests
    .filter(({ scripts = {} }) => INSTALL_SCRIPTS.some((name) => name in scripts))
    .filter(({ name }) => !Object.hasOwn(allowBuilds, name))
    .map(({ name, version }) => `${name}@${version} has install scripts, and allowBuilds does not name it`);
  const contradictory = onlyBuiltDependencies
    .filter((name) => allowBuilds[name] !== true)
    .map((name) => `${name} is one of onlyBuiltDependencies and not true in allowBuilds`);
  const all = settings.dangerouslyAllowAllBuilds ? ["dangerouslyAllowAllBuilds lets all install scripts run"] : [];
  return [...new Set(undecided), ...contradictory, ...all];
}

/**
 * What a package of the workspace needs at run time, at any depth, with itself as the first. `read(name, parent)` returns
 * the manifest of what `parent` finds under this name, or undefined where it is not installed; the parent of `importer` is
 * undefined. `bundledIn(importer)` returns names of development dependencies that are built into a package.
 * @param {any} lock
 * @param {string} importer
 * @param {{ read: (name: any, parent: any) => any, bundledIn?: (importer: string) => readonly string[] }} sources
 * @returns {any[]}
 */
export function productionComponents(lock, importer, { read, bundledIn = () => [] }) {
  const components = new Map();
  const visit = (alias, key, isOptional, parent) => {
    const known = components.get(key);
    if (known !== undefined && (isOptional || !known.isOptional)) return known;
    const isOurs = key in lock.importers;
    const manifest = read(alias, parent);
    const entry = isOurs ? {} : lock.packages[withoutPeers(key)];
    const named = isOurs ? manifest : nameAndVersion(withoutPeers(key));
    if (manifest !== undefined && manifest.version !== named.version)
      throw new Error(`${key} is installed as ${manifest.version}: run \`npm run build\` first`);
    const isElsewhere = manifest === undefined && isOptional && (entry.os ?? entry.cpu) !== undefined;
    if (manifest === undefined && !isElsewhere) throw new Error(`${key} is not installed: run \`npm run build\` first`);
    const component = {
      name: named.name,
      version: named.version,
      licence: manifest === undefined ? undefined : licenceOf(manifest),
      integrity: entry.resolution?.integrity,
      isOurs,
      isOptional,
      isElsewhere,
      manifest,
      dependsOn: [],
    };
    components.set(key, component);
    const lists = isOurs ? lock.importers[key] : (lock.snapshots[key] ?? {});
    const follow = (list, isListOptional) => {
      for (const [name, value] of Object.entries(list ?? {})) {
        const next = keyOf(lock, key, name, value.version ?? value);
        component.dependsOn.push(visit(name, next, isOptional || isListOptional, component));
      }
    };
    follow(lists.dependencies, false);
    follow(lists.optionalDependencies, true);
    if (isOurs) follow(Object.fromEntries(bundledIn(key).map((name) => [name, lists.devDependencies[name]])), false);
    return component;
  };
  visit(undefined, importer, false, undefined);
  return [...components.values()];
}

/**
 * A CycloneDX 1.6 document; the first component is what it is about. Without time and serial number, so that it changes only
 * when what it lists does.
 * @param {any[]} listed
 */
export function cycloneDx(listed) {
  const [main, ...others] = listed;
  const all = new Map(others.map((component) => [purl(component), component]));
  const dependencies = new Map();
  for (const component of [main, ...others]) {
    const found = dependencies.get(purl(component)) ?? new Set();
    for (const other of component.dependsOn) found.add(purl(other));
    dependencies.set(purl(component), found);
  }
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...described(main), type: "application" } },
    components: [...all.keys()].sort().map((name) => described(all.get(name))),
    dependencies: [...dependencies.keys()].sort().map((ref) => ({ ref, dependsOn: [...dependencies.get(ref)].sort() })),
  };
}

/** @returns {any} */
function described(component) {
  const { name, version, licence, integrity, isOptional } = component;
  const [scope, base] = name.startsWith("@") ? name.split("/") : [undefined, name];
  return {
    type: "library",
    "bom-ref": purl(component),
    ...(scope === undefined ? {} : { group: scope }),
    name: base,
    version,
    scope: isOptional ? "optional" : "required",
    ...(licence === undefined ? {} : { licenses: [licenceEntry(licence)] }),
    purl: purl(component),
    // The hash is that of the tarball, not of the files in it.
    ...(integrity === undefined
      ? {}
      : {
          externalReferences: [
            {
              type: "distribution",
              url: `https://registry.npmjs.org/${name}/-/${base}-${version}.tgz`,
              hashes: [{ alg: "SHA-512", content: Buffer.from(integrity.slice(7), "base64").toString("hex") }],
            },
          ],
        }),
  };
}

function licenceEntry(licence) {
  if (PERMITTED_LICENCES.has(licence)) return { license: { id: licence } };
  return isPermitted(licence) ? { expression: licence } : { license: { name: licence } };
}

function purl({ name, version }) {
  return `pkg:npm/${name.replace("@", "%40")}@${encodeURIComponent(version)}`;
}

function nameAndVersion(key) {
  const at = key.indexOf("@", 1);
  return { name: key.slice(0, at), version: key.slice(at + 1) };
}

/** A key of `snapshots` may end with the peers that the package was given, in parentheses. */
function withoutPeers(key) {
  return key.replace(/\(.*$/, "");
}

/** Where what `importer` names is in `snapshots` or `importers`. An alias has the name in its version. */
function keyOf(lock, importer, name, version) {
  if (version.startsWith("link:")) return linked(importer, version);
  return `${name}@${version}` in lock.snapshots ? `${name}@${version}` : version;
}

/** The folder of the workspace that a `link:` of an importer leads to. */
function linked(importer, version) {
  return new URL(version.slice("link:".length), `file:///${importer === "." ? "" : `${importer}/`}`).pathname.slice(1);
}
