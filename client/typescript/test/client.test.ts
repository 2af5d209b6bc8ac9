import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type AnswerInfo, isCode, type Signer, Suanpan, SuanpanError, type SuanpanOptions } from "../src/index.js";
import { breakOff, created, json, problem, service, type Service } from "./service.js";

type Answer = Parameters<typeof service>[0];

async function started(t: TestContext, answer: Answer): Promise<Service> {
  const s = await service(answer);
  t.after(() => s.close());
  return s;
}

async function clientOf(t: TestContext, answer: Answer, options: Partial<SuanpanOptions> = {}): Promise<[Suanpan, Service]> {
  const s = await started(t, answer);
  return [new Suanpan({ key: "sk_test_1", baseUrls: s.url, ...options }), s];
}

const merchant = { reference: "r", name: "n", settlement: "T0" } as const;

async function refusalOf(promise: PromiseLike<unknown>): Promise<SuanpanError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SuanpanError, String(error));
    return error;
  }
  assert.fail("it succeeded");
}

test("a request without an answer is repeated under its key", async (t) => {
  const [api, s] = await clientOf(t, (n, response) => {
    switch (n) {
      case 1:
        return breakOff(response);
      case 2:
        return problem(response, 503, "unavailable");
      case 3: // half an answer
        response.writeHead(201, { "content-length": "100" });
        response.write("{");
        setImmediate(() => breakOff(response));
        return;
      default:
        return created(response);
    }
  });
  let told: AnswerInfo | undefined;
  const answer = await api.createMerchant(merchant, { onAnswer: (info) => (told = info) });
  assert.equal(answer.id, "mch_01JD8Y3K5T7W9ABCDEFGHJKMNP");
  assert.equal(s.asked.length, 4);
  assert.match(s.asked[0]?.headers["idempotency-key"] as string, /^[0-9a-f-]{36}$/);
  for (const asked of s.asked) {
    assert.equal(asked.headers["idempotency-key"], s.asked[0]?.headers["idempotency-key"]);
    assert.equal(asked.headers.authorization, "Bearer sk_test_1");
    assert.equal(asked.headers["content-type"], "application/json");
    assert.deepEqual(JSON.parse(asked.body), merchant);
  }
  assert.deepEqual(told, { status: 201, requestId: "req-1", replayed: false, tries: 4 });
});

test("every POST has a key of its own, or the one it is given", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => created(response));
  await api.createMerchant(merchant);
  await api.createMerchant(merchant);
  await api.createMerchant(merchant, { idempotencyKey: "order-4711" });
  const keys = s.asked.map((asked) => asked.headers["idempotency-key"]);
  assert.notEqual(keys[0], keys[1]);
  assert.equal(keys[2], "order-4711");
  const refusal = await refusalOf(api.createMerchant(merchant, { idempotencyKey: "short" }));
  assert.equal(refusal.field, "idempotencyKey");
  assert.equal(s.asked.length, 3);
});

test("a GET has no key and no body", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => json(response, 200, { id: "pay_1" }));
  await api.getPayment("pay_1");
  assert.equal(s.asked[0]?.url, "/v1/payments/pay_1");
  assert.equal(s.asked[0]?.headers["idempotency-key"], undefined);
  assert.equal(s.asked[0]?.headers["content-type"], undefined);
});

test("a refusal is not repeated and is readable", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => problem(response, 409, "reference_used"));
  const refusal = await refusalOf(api.createMerchant(merchant, { idempotencyKey: "order-4711" }));
  assert.ok(isCode(refusal, "reference_used"));
  assert.deepEqual(
    { ...refusal },
    {
      name: "SuanpanError",
      status: 409,
      outcome: "refused",
      code: "reference_used",
      detail: "d",
      field: "reference",
      limit: "debit.day_count",
      requestId: "req-1",
      idempotencyKey: "order-4711",
      retryAfterMs: undefined,
    },
  );
  assert.ok(!`${refusal.stack}${JSON.stringify(refusal)}`.includes("sk_test_1"), "the key got into the error");
  assert.equal(s.asked.length, 1);
});

test("the other instance is asked", async (t) => {
  const dead = await started(t, (_, response) => breakOff(response));
  const alive = await started(t, (_, response) => created(response));
  const api = new Suanpan({ key: "sk_test_1", baseUrls: [dead.url, alive.url] });
  for (let i = 0; i < 4; i++) {
    await api.createMerchant(merchant);
  }
  assert.equal(alive.asked.length, 4);
  assert.ok(dead.asked.length >= 1);
});

test("a wait longer than the patience is not waited for", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => problem(response, 429, "rate_limited", { "retry-after": "60" }), {
    patienceMs: 1000,
  });
  const begin = Date.now();
  const refusal = await refusalOf(api.createMerchant(merchant));
  assert.equal(refusal.code, "rate_limited");
  assert.equal(refusal.outcome, "unknown");
  assert.equal(refusal.retryAfterMs, 60_000);
  assert.ok(Date.now() - begin < 10_000);
  assert.equal(s.asked.length, 1);
});

test("Retry-After is waited for", async (t) => {
  const [api, s] = await clientOf(t, (n, response) =>
    n === 1 ? problem(response, 503, "unavailable", { "retry-after": "1" }) : created(response),
  );
  const begin = Date.now();
  await api.createMerchant(merchant);
  assert.ok(Date.now() - begin >= 990);
  assert.equal(s.asked.length, 2);
});

test("what nobody answered may have been done", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => breakOff(response), { patienceMs: 0 });
  const refusal = await refusalOf(api.createMerchant(merchant, { idempotencyKey: "order-4711" }));
  assert.equal(refusal.code, "no_answer");
  assert.equal(refusal.outcome, "unknown");
  assert.equal(refusal.idempotencyKey, "order-4711");
  assert.equal(refusal.status, undefined);
  assert.equal(s.asked.length, 1);
});

test("a key that is revoked between two tries does not make the first one refused", async (t) => {
  const [api] = await clientOf(t, (n, response) => (n === 1 ? breakOff(response) : problem(response, 401, "unauthenticated")));
  const refusal = await refusalOf(api.createMerchant(merchant));
  assert.equal(refusal.status, 401);
  assert.equal(refusal.outcome, "unknown");
  const [other] = await clientOf(t, (_, response) => problem(response, 401, "unauthenticated"));
  assert.equal((await refusalOf(other.createMerchant(merchant))).outcome, "refused");
});

test("a signature that was used up on the way is made anew", async (t) => {
  let signatures = 0;
  const signer: Signer = async ({ headers }) => headers.set("signature", `sig1=:${++signatures}:`);
  const answer: Answer = (n, response) => (n === 1 ? problem(response, 401, "signature_replayed") : created(response));
  const [api, s] = await clientOf(t, answer, { signer });
  await api.createMerchant(merchant);
  assert.deepEqual(s.asked.map((asked) => asked.headers["signature"]), ["sig1=:1:", "sig1=:2:"]);
  assert.equal(s.asked[0]?.headers["idempotency-key"], s.asked[1]?.headers["idempotency-key"]);

  const [once] = await clientOf(t, answer, { signer, patienceMs: 0 });
  const failure = await refusalOf(once.createMerchant(merchant));
  assert.equal(failure.code, "signature_replayed");
  assert.equal(failure.outcome, "unknown");
});

test("a try that takes too long is left", async (t) => {
  const [api, s] = await clientOf(t, (n, response) => {
    if (n > 1) {
      created(response);
    }
  });
  await api.createMerchant(merchant, { timeoutMs: 100 });
  assert.equal(s.asked.length, 2);
});

test("the caller's signal ends a call, also while it waits", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => problem(response, 503, "unavailable", { "retry-after": "20" }));
  const begin = Date.now();
  await assert.rejects(api.createMerchant(merchant, { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
  assert.ok(Date.now() - begin < 5000);
  assert.equal(s.asked.length, 1);
  await assert.rejects(api.createMerchant(merchant, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a proxy's page is no answer of the API", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => {
    response.writeHead(302, { location: "/login" });
    response.end();
  });
  const refusal = await refusalOf(api.getPayment("pay_1"));
  assert.equal(refusal.status, 302);
  assert.equal(refusal.code, "not_an_answer");
  assert.equal(s.asked.length, 1, "a redirect was followed");
  const [html] = await clientOf(t, (_, response) => response.end("<html>"), { patienceMs: 0 });
  assert.equal((await refusalOf(html.getPayment("pay_1"))).code, "no_answer");
});

test("an answer without an end is left", async (t) => {
  const [api] = await clientOf(
    t,
    (_, response) => {
      response.writeHead(200);
      const more = () => void (response.write("x".repeat(1 << 20)) ? setImmediate(more) : response.once("drain", more));
      more();
    },
    { patienceMs: 0 },
  );
  assert.match((await refusalOf(api.getPayment("pay_1"))).detail, /larger than/);
});

test("amounts are whole numbers, in and out", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => {
    response.end('{"amount":{"amount":9007199254740993,"currency":"CNY"}}');
  });
  for (const amount of [199.5, NaN, Infinity, 2 ** 53]) {
    const refusal = await refusalOf(
      api.createRefund("pay_1", { reference: "r", reason: "r", amount: { amount, currency: "CNY" } }),
    );
    assert.equal(refusal.code, "number_not_integer");
    assert.equal(refusal.field, "amount.amount");
    assert.equal(refusal.outcome, "not_sent");
  }
  assert.equal(s.asked.length, 0);
  assert.equal((await refusalOf(api.getPayment("pay_1"))).code, "number_too_large");
});

test("an id cannot lead to another operation", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => json(response, 200, {}));
  for (const id of ["", ".", "..", undefined as unknown as string]) {
    assert.throws(() => api.getPayment(id), { code: "id_invalid" });
  }
  await api.getPayment("../refunds?x=1");
  assert.equal(s.asked[0]?.url, "/v1/payments/..%2Frefunds%3Fx%3D1");
});

test("a list is a page when awaited and everything when iterated", async (t) => {
  const pages: Record<string, unknown> = {
    "/v1/payments?status=succeeded": { data: [{ id: "1" }, { id: "2" }], next_cursor: "b" },
    "/v1/payments?status=succeeded&cursor=b": { data: [], next_cursor: "c" },
    "/v1/payments?status=succeeded&cursor=c": { data: [{ id: "3" }], next_cursor: null },
  };
  const s = await started(t, (n, response) => json(response, 200, pages[s.asked[n - 1]?.url ?? ""]));
  const api = new Suanpan({ key: "sk_test_1", baseUrls: s.url });
  const listing = api.listPayments({ status: "succeeded" });
  assert.equal(s.asked.length, 0, "nothing is sent before it is asked for");
  assert.equal((await listing).data.length, 2);
  assert.equal((await listing).next_cursor, "b");
  assert.equal(s.asked.length, 1, "one page is one request");
  const ids: string[] = [];
  for await (const payment of api.listPayments({ status: "succeeded" })) {
    ids.push(payment.id);
  }
  assert.deepEqual(ids, ["1", "2", "3"]);
  assert.equal(s.asked.length, 4);
  for await (const payment of api.listPayments({ status: "succeeded" })) {
    assert.equal(payment.id, "1");
    break;
  }
  assert.equal(s.asked.length, 5, "a page was asked for that nobody wanted");
});

test("an iteration ends with the error of its page", async (t) => {
  const [api] = await clientOf(t, (_, response) => problem(response, 403, "scope_missing"));
  await assert.rejects(async () => {
    for await (const payment of api.listPayments()) {
      assert.fail(payment.id);
    }
  }, { code: "scope_missing" });
});

test("a file is handed over unread", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => response.end("a,b\n"));
  const file = await api.getAccountStatementFile("acc_1", { format: "csv" });
  assert.equal(await file.text(), "a,b\n");
  assert.equal(s.asked[0]?.url, "/v1/accounts/acc_1/statement?format=csv");
});

test("a 204 is nothing", async (t) => {
  const [api, s] = await clientOf(t, (_, response) => response.writeHead(204).end());
  assert.equal(await api.deleteWebhookEndpoint("whe_1"), undefined);
  assert.equal(s.asked[0]?.method, "DELETE");
});

test("the constructor names what is missing", () => {
  const refusalFor = (options: Partial<SuanpanOptions>) => {
    try {
      new Suanpan({ key: "sk_test_1", baseUrls: "https://pay.example.com", ...options });
    } catch (error) {
      return (error as SuanpanError).field;
    }
    return undefined;
  };
  assert.equal(refusalFor({}), undefined);
  assert.equal(refusalFor({ key: "" }), "key");
  assert.equal(refusalFor({ key: "sk_1\nx: y" }), "key");
  assert.equal(refusalFor({ baseUrls: [] }), "baseUrls");
  assert.equal(refusalFor({ baseUrls: "pay.example.com" }), "baseUrls");
  assert.equal(refusalFor({ timeoutMs: -1 }), "timeoutMs");
  assert.equal(refusalFor({ patienceMs: NaN }), "patienceMs");
});

test("a path before /v1 is kept", async (t) => {
  const s = await started(t, (_, response) => json(response, 200, { id: "pay_1" }));
  await new Suanpan({ key: "sk_test_1", baseUrls: `${s.url}/pay/` }).getPayment("pay_1");
  assert.equal(s.asked[0]?.url, "/pay/v1/payments/pay_1");
});
