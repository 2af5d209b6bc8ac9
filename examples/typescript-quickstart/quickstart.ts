// Takes a payment from its creation to its refund, on the development stack that make up starts:
//
//     npm ci && npm start
//
// It creates a merchant, receives webhooks and verifies them, asks a payer for 199.00 yuan, plays that payer (--browser
// lets you do it), and gives 50.00 back.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { type Event, newIdempotencyKey, Suanpan, verifyWebhook } from "@suanpan/client";

const { values } = parseArgs({
  options: { dev: { type: "string", default: "../../.data/dev.json" }, browser: { type: "boolean", default: false } },
});
const stack = JSON.parse(await readFile(values.dev, "utf8")) as { api_urls: string[]; api_key: string };
const api = new Suanpan({ baseUrls: stack.api_urls, key: stack.api_key });
const now = Date.now(); // makes references unique each time this runs

const merchant = await api.createMerchant({ reference: `store-${now}`, name: "Noodle House", settlement: "T0" });
console.log("merchant", merchant.id);

// A receiver of webhooks. It answers fast and tells whoever waits.
let secret = "";
const waiting = new Map<string, () => void>();
const seen = new Set<string>();
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  let event: Event;
  try {
    event = await verifyWebhook(secret, request.headers, Buffer.concat(chunks)); // the body as it arrived
  } catch {
    response.writeHead(401).end();
    return;
  }
  response.writeHead(204).end(); // a real receiver stores the event first and works afterwards
  console.log("webhook", event.type, event.object_id);
  const name = `${event.type} ${event.object_id}`;
  seen.add(name);
  waiting.get(name)?.();
});
await once(server.listen(0, "127.0.0.1"), "listening");
const { port } = server.address() as AddressInfo;
const endpoint = await api.createWebhookEndpoint({ url: `http://127.0.0.1:${port}/hooks` });
secret = endpoint.secret; // shown once; keep it where your receiver finds it

// The key is stored with the order before this is sent: a program that died here asks again under it, and there is
// still one payment.
const idempotencyKey = newIdempotencyKey();
const payment = await api.createPayment(
  {
    merchant_id: merchant.id,
    reference: `order-${now}`,
    subject: "Two bowls of noodles",
    amount: { amount: 19900, currency: "CNY" }, // fen: 199.00 yuan
    method: { channel: "alipay", product: "qr" },
  },
  { idempotencyKey },
);
await pay(payment.id);

// Events are thin and may come late or twice: they say when to look.
await happened("payment.succeeded", payment.id);
console.log("payment", payment.id, "is", (await api.getPayment(payment.id)).status);

const refund = await api.createRefund(payment.id, {
  reference: `refund-${now}`,
  reason: "One bowl was cold",
  amount: { amount: 5000, currency: "CNY" },
});
if ("content_sha256" in refund) {
  // An approval: the tenant wants a second person for refunds like this.
  console.log("the refund waits for a second person, who may approve", refund.id, "until", refund.expires_at);
} else {
  await happened("refund.succeeded", refund.id);
  console.log("refund", refund.id, "went back to the payer");
}

await api.deleteWebhookEndpoint(endpoint.id); // a real receiver stays
server.close();

/** Waits for the payer's QR code and pays, as the sandbox's page would. */
async function pay(id: string): Promise<void> {
  for (;;) {
    const code = (await api.getPayment(id)).next_action?.qr_code;
    if (code !== undefined) {
      console.log("the payer's page is", code);
      if (!values.browser) {
        await fetch(code, { method: "POST", body: new URLSearchParams({ action: "pay" }) });
      }
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** Waits for the webhook of this type about this object. */
async function happened(type: string, objectId: string): Promise<void> {
  const name = `${type} ${objectId}`;
  if (!seen.has(name)) {
    await new Promise<void>((resolve, reject) => {
      waiting.set(name, resolve);
      setTimeout(() => reject(new Error(`no ${name} within two minutes`)), 120_000).unref();
    });
  }
}
