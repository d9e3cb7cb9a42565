/**
 * The packages from the lowest to the highest: each may import those above it in this list, and nothing else of the project.
 * `isPure`: no I/O, no clock, no timers, no randomness, no globals of Node; such packages also run in a browser.
 * `except`: packages that stand lower and are none of its business all the same.
 */
export const PACKAGES = [
  { name: "runtime" },
  { name: "link-model", isPure: true, except: ["runtime"] },
  { name: "merge-engine", isPure: true, except: ["runtime"] },
  { name: "replication", isPure: true, except: ["runtime"] },
  { name: "coap-transport", except: ["link-model", "merge-engine", "replication"] },
  { name: "oscore", except: ["link-model", "merge-engine", "replication"] },
  { name: "lookup-interface" },
  { name: "resource-directory" },
  { name: "upstream-sync", except: ["lookup-interface", "resource-directory"] },
  { name: "lookup-server", except: ["resource-directory"] },
  { name: "anycast-forwarding", except: ["upstream-sync", "lookup-server"] },
  { name: "lmdb-store", except: ["lookup-server", "anycast-forwarding"] },
  {
    name: "nats-store",
    except: ["upstream-sync", "lookup-server", "anycast-forwarding", "lmdb-store"],
  },
  {
    name: "status-page",
    except: [
      "runtime",
      "link-model",
      "merge-engine",
      "replication",
      "coap-transport",
      "oscore",
      "lookup-interface",
      "resource-directory",
      "upstream-sync",
      "lookup-server",
      "anycast-forwarding",
      "lmdb-store",
      "nats-store",
    ],
  },
  {
    name: "global-lookup",
    except: [
      "merge-engine",
      "resource-directory",
      "upstream-sync",
      "lookup-server",
      "anycast-forwarding",
      "lmdb-store",
      "nats-store",
      "status-page",
    ],
  },
  { name: "node" },
  { name: "cli" },
];

/** The name by which a package is imported. */
export function importName(name) {
  return `@tributary/${name}`;
}

/** What the package at `index` must not import: itself by name, all that stand higher, and its exceptions. */
export function forbiddenImports(index) {
  const { except = [] } = PACKAGES[index];
  const names = PACKAGES.filter(({ name }, at) => at >= index || except.includes(name)).map(({ name }) => name);
  return names.map(importName);
}
