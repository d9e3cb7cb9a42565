import { describe, expect, test } from "vitest";
import {
  checkInstallScripts,
  checkLicences,
  checkLock,
  cycloneDx,
  isPermitted,
  licenceOf,
  productionComponents,
} from "../../.ci/supply-chain.mjs";

const INTEGRITY = `sha512-${"A".repeat(86)}==`;
const GIT = "https://codeload.github.com/example/left/tar.gz/0123456789abcdef0123456789abcdef01234567";

/** Our command needs our library and a package with a part for another platform; a tool is for development only. */
const LOCK = {
  importers: {
    ".": { devDependencies: { "@ours/command": { version: "link:packages/command" } } },
    "packages/command": {
      dependencies: { "@ours/library": { version: "link:../library" }, store: { version: "2.0.0(peer@1.0.0)" } },
      devDependencies: { tool: { version: "9.0.0" }, bundled: { version: "3.0.0" } },
    },
    "packages/library": { dependencies: { "@theirs/base": { version: "1.0.0" } } },
  },
  packages: {
    "@theirs/base@1.0.0": { resolution: { integrity: INTEGRITY } },
    "store@2.0.0": { resolution: { integrity: INTEGRITY } },
    "store-windows@2.0.0": { resolution: { integrity: INTEGRITY }, os: ["win32"] },
    "tool@9.0.0": { resolution: { integrity: INTEGRITY } },
    "bundled@3.0.0": { resolution: { integrity: INTEGRITY } },
  },
  snapshots: {
    "@theirs/base@1.0.0": {},
    "store@2.0.0(peer@1.0.0)": {
      dependencies: { alias: "@theirs/base@1.0.0" },
      optionalDependencies: { "store-windows": "2.0.0" },
    },
    "store-windows@2.0.0": {},
    "tool@9.0.0": {},
    "bundled@3.0.0": {},
  },
};

const MANIFESTS = new Map<string | undefined, object>([
  [undefined, { name: "@ours/command", version: "0.1.0", license: "MIT" }],
  ["@ours/library", { name: "@ours/library", version: "0.1.0", license: "MIT" }],
  ["@theirs/base", { name: "@theirs/base", version: "1.0.0", license: "GPL-3.0-only" }],
  ["alias", { name: "@theirs/base", version: "1.0.0", license: "GPL-3.0-only" }],
  ["store", { name: "store", version: "2.0.0", license: "ISC" }],
  ["bundled", { name: "bundled", version: "3.0.0", license: "(MIT OR GPL-2.0-only)" }],
]);

function componentsOf(manifests = MANIFESTS) {
  return productionComponents(LOCK, "packages/command", {
    read: (name: string | undefined) => manifests.get(name),
    bundledIn: (importer: string) => (importer === "packages/command" ? ["bundled"] : []),
  });
}

describe("licences", () => {
  test("a package whose licence is not permitted is refused by name", () => {
    expect(checkLicences(componentsOf())).toEqual([
      "@theirs/base@1.0.0 has the licence GPL-3.0-only, which is not permitted",
    ]);
  });

  test("a package that names none is refused", () => {
    expect(checkLicences([{ name: "silent", version: "1.0.0", licence: undefined }])).toEqual([
      "silent@1.0.0 names no licence",
    ]);
  });

  test.each([
    ["MIT", true],
    ["GPL-3.0-only", false],
    ["(MIT OR GPL-2.0-only)", true],
    ["GPL-2.0-only OR MIT", true],
    ["MIT AND GPL-2.0-only", false],
    ["ISC AND (GPL-2.0-only OR BSD-2-Clause)", true],
    ["ISC AND GPL-2.0-only OR LGPL-2.1-only", false],
    ["SEE LICENSE IN LICENSE.md", false],
    ["UNLICENSED", false],
    ["GPL-2.0-only OR", false],
    ["MIT MIT", false],
    ["(MIT", false],
    ["", false],
  ])("%s", (expression, expected) => {
    expect(isPermitted(expression)).toBe(expected);
  });

  test("old manifests have objects", () => {
    expect(licenceOf({ license: { type: "MIT" } })).toBe("MIT");
    expect(licenceOf({ licenses: [{ type: "MIT" }, { type: "GPL-2.0-only" }] })).toBe("MIT OR GPL-2.0-only");
    expect(licenceOf({})).toBeUndefined();
  });
});

describe("lock file", () => {
  const withPackage = (key: string, resolution: object) => ({ importers: {}, packages: { [key]: { resolution } } });

  test("entries of the registry with a hash are accepted", () => {
    expect(checkLock(LOCK)).toEqual([]);
  });

  test.each([
    ["without a hash", "left@1.0.0", {}, "left@1.0.0 has no integrity hash"],
    [
      "with a weak hash",
      "left@1.0.0",
      { integrity: "sha1-AAAA" },
      "left@1.0.0 has an integrity hash other than SHA-512",
    ],
    ["from git", `left@${GIT}`, { tarball: GIT }, `left@${GIT} is not from the registry`],
    ["from a folder", "left@file:../left", { directory: "../left", type: "directory" }, "is not from the registry"],
    ["from a tarball", "left@1.0.0", { integrity: INTEGRITY, tarball: GIT }, "not from the registry: it has tarball"],
  ])("an entry %s is refused", (_, key, resolution, problem) => {
    expect(checkLock(withPackage(key, resolution))).toEqual([expect.stringContaining(problem)]);
  });

  test("a link to outside of the workspace is refused", () => {
    const importers = { "packages/one": { dependencies: { left: { version: "link:../../../left" } } } };
    expect(checkLock({ importers, packages: {} })).toEqual([expect.stringContaining("left leads outside")]);
  });
});

describe("install scripts", () => {
  const native = { name: "native", version: "1.0.0", scripts: { postinstall: "node build.js" } };

  test("have to be permitted or refused by name", () => {
    expect(checkInstallScripts([native], { allowBuilds: { native: false } })).toEqual([]);
    expect(checkInstallScripts([native], { allowBuilds: {} })).toEqual([expect.stringContaining("native@1.0.0")]);
    expect(checkInstallScripts([{ ...native, scripts: { test: "x" } }], {})).toEqual([]);
  });

  test("are not permitted all at once, nor by one setting against the other", () => {
    expect(checkInstallScripts([], { dangerouslyAllowAllBuilds: true })).toHaveLength(1);
    expect(checkInstallScripts([], { onlyBuiltDependencies: ["native"], allowBuilds: { native: false } })).toHaveLength(
      1,
    );
  });
});

describe("list of what is installed", () => {
  test("has dependencies at any depth and what is bundled, and no tools", () => {
    const { metadata, components, dependencies } = cycloneDx(componentsOf());
    expect(metadata.component).toMatchObject({
      type: "application",
      group: "@ours",
      name: "command",
      version: "0.1.0",
    });
    expect(components.map(({ purl, scope, licenses }) => [purl, scope, licenses?.[0]])).toEqual([
      ["pkg:npm/%40ours/library@0.1.0", "required", { license: { id: "MIT" } }],
      ["pkg:npm/%40theirs/base@1.0.0", "required", { license: { name: "GPL-3.0-only" } }],
      ["pkg:npm/bundled@3.0.0", "required", { expression: "(MIT OR GPL-2.0-only)" }],
      ["pkg:npm/store-windows@2.0.0", "optional", undefined],
      ["pkg:npm/store@2.0.0", "required", { license: { id: "ISC" } }],
    ]);
    expect(dependencies).toContainEqual({
      ref: "pkg:npm/store@2.0.0",
      dependsOn: ["pkg:npm/%40theirs/base@1.0.0", "pkg:npm/store-windows@2.0.0"],
    });
  });

  test("has the hash of the lock file", () => {
    const [base] = cycloneDx(componentsOf()).components.filter(({ name }) => name === "base");
    expect(base?.externalReferences?.[0]?.hashes).toEqual([{ alg: "SHA-512", content: "00".repeat(64) }]);
  });

  test("is not made of an installation that is not that of the lock file", () => {
    const without = new Map(MANIFESTS);
    without.delete("store");
    expect(() => componentsOf(without)).toThrow("store@2.0.0(peer@1.0.0) is not installed");
    const older = new Map(MANIFESTS).set("store", { name: "store", version: "1.9.0", license: "ISC" });
    expect(() => componentsOf(older)).toThrow("is installed as 1.9.0");
  });
});
