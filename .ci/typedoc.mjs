// Options of TypeDoc for `npm run docs`: the API reference of all packages, and a check that every exported name has a docstring.
import { importName, PACKAGES } from "./packages.mjs";

/** @type {import("typedoc").TypeDocOptions} */
export default {
  name: "Tributary",
  entryPoints: PACKAGES.map(({ name }) => `../packages/${name}/src/index.ts`),
  tsconfig: "../test/tsconfig.json",
  out: "../docs/api",
  readme: "none",
  disableSources: true,
  // `npm run typecheck` finds errors, with the version of TypeScript that compiles the packages.
  skipErrorChecking: true,
  packagesRequiringDocumentation: PACKAGES.map(({ name }) => importName(name)),
  requiredToBeDocumented: ["Enum", "Variable", "Function", "Class", "Interface", "TypeAlias"],
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  treatValidationWarningsAsErrors: true,
};
