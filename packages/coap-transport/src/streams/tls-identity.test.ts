import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { createTestAuthority } from "../testing/certificates.js";
import { identityOfCertificate } from "./tls-identity.js";

const authority = createTestAuthority();

/** As Node shows the certificate of a peer. */
function identityOf(subject: Parameters<typeof authority.issue>[0]) {
  const { subjectAltName, fingerprint256, subject: text } = new X509Certificate(authority.issue(subject).chain);
  const CN = /^CN=(.*)$/m.exec(text ?? "")?.[1];
  return identityOfCertificate({
    ...(subjectAltName === undefined ? {} : { subjectaltname: subjectAltName }),
    fingerprint256,
    subject: CN === undefined ? {} : { CN },
  });
}

test.each([
  { name: "a common name", subject: { name: "lamp" }, names: ["lamp"] },
  {
    name: "alternative names before the common name",
    subject: { name: "lamp", dns: ["a.example", "b.example"], uris: ["coap://c"], addresses: ["192.0.2.1"] },
    names: ["a.example", "b.example", "coap://c", "192.0.2.1", "lamp"],
  },
  { name: "a name twice", subject: { name: "lamp", dns: ["lamp"] }, names: ["lamp"] },
  {
    name: "one name that looks like two",
    subject: { uris: ["coap://x/, DNS:rd.example"] },
    names: ["coap://x/, DNS:rd.example"],
  },
  { name: "a name with a quotation mark", subject: { dns: ['a", DNS:"rd'] }, names: ['a", DNS:"rd'] },
  {
    name: "a name that goes on after a zero byte",
    subject: { name: "lamp", dns: ["rd.example\0.evil"] },
    names: ["lamp"],
  },
])("$name", ({ subject, names }) => {
  expect(identityOf(subject)).toEqual({ kind: "certificate", name: names[0], names });
});

test("a certificate without names is known by its fingerprint", () => {
  expect(identityOf({}).name).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
});

test("text that is not as expected gives no alternative names", () => {
  const subjectaltname = "DNS:rd.example, ???";
  expect(
    identityOfCertificate({ subjectaltname, fingerprint256: "00", subject: { CN: ["one", "two"] } }).names,
  ).toEqual(["one", "two"]);
});
