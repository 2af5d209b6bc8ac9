import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import { test } from "node:test";
import { newSigner, Suanpan } from "../src/index.js";
import { contentDigest, keyOf, signatureBase, signed } from "../src/signature.js";
import { type Asked, breakOff, created, service } from "./service.js";

// The key of RFC 9421, appendix B.1.4.
const rfcKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
`;

test("the example of RFC 9421, B.2.6, and the digest of RFC 9530", async () => {
  const params =
    '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"';
  const base = signatureBase(
    [
      ["date", "Tue, 20 Apr 2021 02:07:55 GMT"],
      ["@method", "POST"],
      ["@path", "/foo"],
      ["@authority", "example.com"],
      ["content-type", "application/json"],
      ["content-length", "18"],
    ],
    params,
  );
  assert.equal(
    await signed(await keyOf(rfcKey), base),
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
  );
  const body = new TextEncoder().encode('{"hello": "world"}');
  assert.equal(await contentDigest(body), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
});

/** Verifies what arrived, by other code than the signer's. Returns the nonce. */
function verified(asked: Asked, key: KeyObject): string {
  const input = asked.headers["signature-input"] as string;
  const form = /^sig1=(\(([^)]*)\);created=(\d+);expires=(\d+);nonce="([A-Za-z0-9_-]{16,64})";keyid="sgk_1";alg="ed25519")$/;
  const [, params, names, createdAt, expires, nonce] = form.exec(input) ?? assert.fail(input);
  assert.equal(Number(expires) - Number(createdAt), 300);
  const [path, query] = asked.url.split("?");
  const derived: Record<string, string> = {
    "@method": asked.method,
    "@authority": asked.headers.host ?? "",
    "@path": path ?? "",
    "@query": `?${query ?? ""}`,
  };
  const expected = ["@method", "@authority", "@path", "@query", "authorization"];
  if (asked.body !== "") {
    expected.push("content-digest");
    const digest = createHash("sha256").update(asked.body).digest("base64");
    assert.equal(asked.headers["content-digest"], `sha-256=:${digest}:`);
  }
  if (asked.method === "POST") {
    expected.push("idempotency-key");
  }
  const covered = (names ?? "").split(" ").map((name) => name.slice(1, -1));
  assert.deepEqual(covered, expected);
  let base = "";
  for (const name of covered) {
    base += `"${name}": ${derived[name] ?? String(asked.headers[name])}\n`;
  }
  base += `"@signature-params": ${params}`;
  const signature = /^sig1=:(.*):$/.exec(asked.headers["signature"] as string)?.[1] ?? "";
  assert.ok(verify(null, Buffer.from(base), key, Buffer.from(signature, "base64")), base);
  return nonce ?? "";
}

test("every try is signed anew, and covers what it must", async (t) => {
  const s = await service((n, response) => (n === 1 ? breakOff(response) : created(response)));
  t.after(() => s.close());
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const api = new Suanpan({ key: "sk_test_1", baseUrls: s.url, signer: await newSigner("sgk_1", pem) });
  await api.createMerchant({ reference: "r", name: "张三", settlement: "T0" });
  await api.listMerchants({ reference: "a b&c", limit: 5 }).then(undefined, () => {});
  await api.getMerchant("../x");
  await api.rotateWebhookSecret("whe_1");
  const nonces = s.asked.map((asked) => verified(asked, publicKey));
  assert.equal(nonces.length, 5);
  assert.equal(new Set(nonces).size, 5, "a signature is taken once");
});

test("a key that cannot sign is refused at once", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const publicPem = createPublicKey(rfcKey).export({ type: "spki", format: "pem" }) as string;
  for (const pem of ["", rsa, publicPem, rfcKey.replace("MC4C", "MC4D")]) {
    await assert.rejects(newSigner("sgk_1", pem), { code: "option_invalid", field: "privateKey" });
  }
  for (const id of ["", 'a"b', "a\nb"]) {
    await assert.rejects(newSigner(id, rfcKey), { code: "option_invalid", field: "keyId" });
  }
});
