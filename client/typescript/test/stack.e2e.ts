// Against a platform that make up started: node build/test/stack.e2e.js [path of dev.json]
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import {
  type AnswerInfo,
  type Event,
  type Merchant,
  newIdempotencyKey,
  newSigner,
  Suanpan,
  type UnsignedRequest,
  verifyWebhook,
} from "../src/index.js";

const stack = JSON.parse(readFileSync(process.argv[2] ?? "../../.data/dev.json", "utf8")) as {
  api_urls: string[];
  api_key: string;
};
const api = new Suanpan({ baseUrls: stack.api_urls, key: stack.api_key });
const run = newIdempotencyKey().slice(0, 8);

function merchantOf(reference: string) {
  return { reference: `${run}-${reference}`, name: "Noodle House", settlement: "T0" } as const;
}

test("a key is worth one object, at either instance", async () => {
  const idempotencyKey = newIdempotencyKey();
  const answers: AnswerInfo[] = [];
  const made = new Set<string>();
  for (let i = 0; i < 4; i++) {
    const onAnswer = (info: AnswerInfo) => answers.push(info);
    made.add(JSON.stringify(await api.createMerchant(merchantOf("one"), { idempotencyKey, onAnswer })));
  }
  assert.equal(made.size, 1);
  assert.deepEqual(answers.map((answer) => answer.replayed), [false, true, true, true]);
  assert.ok(answers.every((answer) => answer.status === 201 && answer.requestId !== ""));
  await assert.rejects(api.createMerchant(merchantOf("another"), { idempotencyKey }), {
    code: "idempotency_key_reused",
    status: 409,
    outcome: "refused",
  });
});

test("the other instance answers for one that is gone", async () => {
  const closed = createServer();
  await once(closed.listen(0, "127.0.0.1"), "listening");
  const { port } = closed.address() as AddressInfo;
  closed.close();
  const half = new Suanpan({ baseUrls: [`http://127.0.0.1:${port}`, ...stack.api_urls], key: stack.api_key });
  const ids = new Set<string>();
  for (let i = 0; i < 4; i++) {
    ids.add((await half.createMerchant(merchantOf(`half-${i}`))).id);
  }
  assert.equal(ids.size, 4);
});

test("refusals name the field and the way out", async () => {
  await assert.rejects(api.createMerchant({ ...merchantOf("x"), settlement: "T9" as "T0" }), { status: 400, field: "settlement" });
  await assert.rejects(api.getMerchant("mch_01JD8Y3K5T7W9ABCDEFGHJKMNP"), { status: 404, code: "not_found" });
  await assert.rejects(api.getMerchant("../payments"), { status: 404, code: "not_found" });
  const stranger = new Suanpan({ baseUrls: stack.api_urls, key: "sk_test_nobody" });
  await assert.rejects(async () => await stranger.listPayments(), { status: 401, code: "unauthenticated", outcome: "refused" });
});

test("a list goes on over its pages", async () => {
  const parent = await api.createMerchant(merchantOf("parent"));
  const children: Merchant[] = [];
  for (let i = 0; i < 5; i++) {
    children.push(await api.createMerchant({ ...merchantOf(`child-${i}`), parent_id: parent.id }));
  }
  const page = await api.listMerchants({ parent_id: parent.id, limit: 2 });
  assert.equal(page.data.length, 2);
  assert.notEqual(page.next_cursor, null);
  const found: string[] = [];
  for await (const child of api.listMerchants({ parent_id: parent.id, limit: 2 })) {
    found.push(child.id);
  }
  assert.deepEqual(found, children.map((child) => child.id).reverse());
});

test("a trial that books nothing, and a file", async () => {
  const [from, to] = [await api.createMerchant(merchantOf("from")), await api.createMerchant(merchantOf("to"))];
  await assert.rejects(
    api.createTransfer({
      reference: `${run}-t`,
      from_merchant_id: from.id,
      to_merchant_id: to.id,
      amount: { amount: 1, currency: "CNY" },
      dry_run: true,
    }),
    { status: 422, code: "funds_insufficient", outcome: "refused" },
  );
  const account = await api.openAccount({ merchant_id: from.id, name: "deposits", currency: "CNY" });
  const file = await api.getAccountStatementFile(account.id, { format: "csv" });
  assert.match(file.headers.get("content-type") ?? "", /^text\/csv/);
  assert.ok((await file.text()).includes(","));
  const statement = await api.getAccountStatement(account.id);
  assert.equal(statement.account_id, account.id);
});

test("webhooks verify, before and during a rotation of the secret", { timeout: 50_000 }, async (t) => {
  const receiver = await receive(t);
  const endpoint = await api.createWebhookEndpoint({ url: receiver.url, event_types: ["account.status_changed"] });
  t.after(() => api.deleteWebhookEndpoint(endpoint.id));
  const merchant = await api.createMerchant(merchantOf("hooks"));
  const account = await api.openAccount({ merchant_id: merchant.id, name: "spare", currency: "CNY" });

  await api.changeAccountStatus(account.id, { status: "frozen", reason: "a test" });
  const first = await receiver.next();
  const event = await verifyWebhook(endpoint.secret, first.headers, first.body);
  assert.equal(event.type, "account.status_changed");
  assert.equal(event.object_id, account.id);
  assert.deepEqual(event, await api.getEvent(event.id));

  const rotated = await api.rotateWebhookSecret(endpoint.id);
  assert.notEqual(rotated.secret, endpoint.secret);
  await api.changeAccountStatus(account.id, { status: "active", reason: "a test" });
  const second = await receiver.next();
  const seen: Event[] = [];
  for (const secret of [endpoint.secret, rotated.secret, [rotated.secret, endpoint.secret]]) {
    seen.push(await verifyWebhook(secret, second.headers, second.body));
  }
  assert.equal(new Set(seen.map((e) => e.id)).size, 1);
  const stranger = await api.createWebhookEndpoint({ url: receiver.url, event_types: ["hold.placed"] });
  t.after(() => api.deleteWebhookEndpoint(stranger.id));
  await assert.rejects(verifyWebhook(stranger.secret, second.headers, second.body), { code: "webhook_signature_invalid" });
  await assert.rejects(verifyWebhook(endpoint.secret, second.headers, Buffer.concat([second.body, Buffer.from(" ")])), {
    code: "webhook_signature_invalid",
  });
});

test("a key that must sign is taken with a signature, each once", async () => {
  const mine = await api.createAPIKey({ name: `${run}-signed`, scopes: ["merchants:write"], signature: "always" });
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const publicKey = Buffer.from(await crypto.subtle.exportKey("raw", pair.publicKey)).toString("base64");
  const registered = await api.createSigningKey(mine.id, { name: "first", public_key: publicKey });

  const unsigned = new Suanpan({ baseUrls: stack.api_urls, key: mine.secret });
  await assert.rejects(unsigned.createMerchant(merchantOf("unsigned")), { status: 401, code: "signature_missing" });

  const sent: UnsignedRequest[] = [];
  const sign = await newSigner(registered.id, pair.privateKey);
  const signer = async (request: UnsignedRequest) => {
    await sign(request);
    sent.push(request);
  };
  const signed = new Suanpan({ baseUrls: stack.api_urls, key: mine.secret, signer });
  const merchant = await signed.createMerchant(merchantOf("signed"));
  assert.match(merchant.id, /^mch_/);

  const { method, url, headers, body } = sent[0]!;
  const replayed = await fetch(url, { method, headers, body: body! });
  assert.equal(replayed.status, 401);
  assert.equal(((await replayed.json()) as { code: string }).code, "signature_replayed");

  const stranger = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const forged = new Suanpan({
    baseUrls: stack.api_urls,
    key: mine.secret,
    signer: await newSigner(registered.id, stranger.privateKey),
  });
  await assert.rejects(forged.createMerchant(merchantOf("forged")), { status: 401, code: "signature_invalid" });
  await api.revokeAPIKey(mine.id);
});

interface Received {
  headers: NodeJS.Dict<string | string[]>;
  body: Buffer;
}

/** A receiver that keeps what comes, one after the other. */
async function receive(t: TestContext): Promise<{ url: string; next: () => Promise<Received> }> {
  const kept: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
    }
    kept.push({ headers: request.headers, body: Buffer.concat(chunks) });
    response.writeHead(204).end();
    server.emit("kept");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const next = async (): Promise<Received> => {
    for (;;) {
      const received = kept.shift();
      if (received !== undefined) {
        return received;
      }
      await once(server, "kept");
    }
  };
  return { url: `http://127.0.0.1:${port}/hooks`, next };
}
