import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { verifyWebhook } from "../src/index.js";

// The example of the Standard Webhooks specification's reference libraries.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const signedAt = 1614265330;
const body = '{"test": 2432232314}';
const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const headers = {
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": String(signedAt),
  "webhook-signature": signature,
};
const at = (seconds: number) => ({ now: () => seconds * 1000 });

test("a genuine webhook is accepted", async () => {
  const cases: Record<string, Parameters<typeof verifyWebhook>> = {
    "as text": [secret, headers, body, at(signedAt + 299)],
    "as bytes": [secret, headers, new TextEncoder().encode(body), at(signedAt - 299)],
    "headers of fetch": [secret, new Headers(headers), body, at(signedAt)],
    "headers in capitals": [secret, { ...headers, "webhook-id": undefined, "Webhook-Id": headers["webhook-id"] }, body, at(signedAt)],
    "during a rotation, both signed": [secret, { ...headers, "webhook-signature": `v1,AAAA ${signature}` }, body, at(signedAt)],
    "during a rotation, both known": [["whsec_AAAA", secret], headers, body, at(signedAt)],
    "beside an unknown version": [secret, { ...headers, "webhook-signature": `v2,AAAA ${signature}` }, body, at(signedAt)],
    "with another tolerance": [secret, headers, body, { ...at(signedAt + 900), toleranceSeconds: 1000 }],
  };
  for (const [name, parameters] of Object.entries(cases)) {
    assert.deepEqual(await verifyWebhook(...parameters), { test: 2432232314 }, name);
  }
});

test("anything else is refused", async () => {
  const cases: Record<string, [string, Parameters<typeof verifyWebhook>]> = {
    "another body": ["webhook_signature_invalid", [secret, headers, body + " ", at(signedAt)]],
    "another secret": ["webhook_signature_invalid", ["whsec_AAAA", headers, body, at(signedAt)]],
    "no secret known": ["webhook_signature_invalid", [[], headers, body, at(signedAt)]],
    "an empty secret": ["webhook_secret_invalid", ["whsec_", headers, body, at(signedAt)]],
    "a secret in plain": ["webhook_secret_invalid", ["whsec_!", headers, body, at(signedAt)]],
    "a recording": ["webhook_too_old", [secret, headers, body, at(signedAt + 301)]],
    "from the future": ["webhook_too_old", [secret, headers, body, at(signedAt - 301)]],
    "a broken clock": ["webhook_too_old", [secret, headers, body, at(NaN)]],
    "another id": ["webhook_signature_invalid", [secret, { ...headers, "webhook-id": "msg_2" }, body, at(signedAt)]],
    "no id": ["webhook_headers_missing", [secret, { ...headers, "webhook-id": undefined }, body, at(signedAt)]],
    "two ids": ["webhook_headers_missing", [secret, { ...headers, "webhook-id": ["a", "b"] }, body, at(signedAt)]],
    "another moment": ["webhook_signature_invalid", [secret, { ...headers, "webhook-timestamp": "1614265331" }, body, at(signedAt)]],
    "no moment": ["webhook_headers_missing", [secret, { ...headers, "webhook-timestamp": "now" }, body, at(signedAt)]],
    "a moment in hex": ["webhook_headers_missing", [secret, { ...headers, "webhook-timestamp": "0x60378632" }, body, at(signedAt)]],
    "no signature": ["webhook_signature_invalid", [secret, { ...headers, "webhook-signature": undefined }, body, at(signedAt)]],
    "an unknown version": ["webhook_signature_invalid", [secret, { ...headers, "webhook-signature": `v2${signature.slice(2)}` }, body, at(signedAt)]],
    "a signature in plain": ["webhook_signature_invalid", [secret, { ...headers, "webhook-signature": "v1,!" }, body, at(signedAt)]],
    "half a signature": ["webhook_signature_invalid", [secret, { ...headers, "webhook-signature": signature.slice(0, -9) }, body, at(signedAt)]],
    "another spelling": ["webhook_signature_invalid", [secret, { ...headers, "webhook-signature": signature.replace("OE=", "OF=") }, body, at(signedAt)]],
  };
  for (const [name, [code, parameters]] of Object.entries(cases)) {
    await assert.rejects(verifyWebhook(...parameters), { code, outcome: "refused" }, name);
  }
});

test("what the reference library signs is accepted, for bodies of any kind", async () => {
  const reference = new Webhook(secret);
  for (const payload of ["{}", '{"name":"张三 😀"}', JSON.stringify({ text: "x".repeat(50_000) })]) {
    const now = new Date();
    const seconds = String(Math.floor(now.getTime() / 1000));
    const signed = { "webhook-id": "evt_1", "webhook-timestamp": seconds, "webhook-signature": reference.sign("evt_1", now, payload) };
    assert.deepEqual(await verifyWebhook(secret, signed, payload), JSON.parse(payload));
    await assert.rejects(verifyWebhook(secret, signed, payload.replace("{", "{ ")), { code: "webhook_signature_invalid" });
  }
});
