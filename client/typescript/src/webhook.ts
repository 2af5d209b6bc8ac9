import { SuanpanError } from "./errors.js";
import type { Event } from "./schema.gen.js";

/** What a request's headers may come as: of fetch, or of Node's http module. */
export type HeaderSource =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined };

/** What verifyWebhook takes besides. */
export interface WebhookOptions {
  /** How many seconds the moment of signing may be from now; 300 unless given. An older message may be a recording. */
  toleranceSeconds?: number;
  /** The receiver's clock in milliseconds, for tests. */
  now?: () => number;
}

const defaultToleranceSeconds = 300;

/**
 * Checks that a webhook was signed with one of the secrets (`whsec_…`, as the endpoint's creation showed it) within
 * the tolerance of now, by the rules of Standard Webhooks 1.0, and returns its event. Take the body byte for byte
 * as it arrived: JSON that was parsed and written again does not verify.
 *
 * A message may come more than once and out of order: its `id` tells a repetition, `sequence` counts the events of
 * one object. Throws a SuanpanError whose code begins with `webhook_`; answer it with 401.
 */
export async function verifyWebhook(
  secrets: string | readonly string[],
  headers: HeaderSource,
  body: string | Uint8Array,
  options: WebhookOptions = {},
): Promise<Event> {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature");
  if (id === "" || !/^\d{1,12}$/.test(timestamp)) {
    throw refused("webhook_headers_missing", "the webhook lacks the header webhook-id or webhook-timestamp");
  }
  const now = options.now?.() ?? Date.now();
  const age = Math.abs(now / 1000 - Number(timestamp));
  if (!(age <= (options.toleranceSeconds ?? defaultToleranceSeconds))) {
    throw refused("webhook_too_old", `the webhook was signed ${Math.round(age)} s from now: check the receiver's clock`);
  }
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), bytes);
  for (const secret of typeof secrets === "string" ? [secrets] : secrets) {
    if (await anySigned(await webhookKey(secret), signatures, signed)) {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Event;
    }
  }
  throw refused("webhook_signature_invalid", "no signature of the webhook is by a secret of this endpoint");
}

/** While a secret is being rotated there is a signature for each. subtle.verify compares in constant time. */
async function anySigned(key: CryptoKey, signatures: string, signed: Uint8Array<ArrayBuffer>): Promise<boolean> {
  for (const signature of signatures.split(" ")) {
    const [version, encoded] = split(signature, ",");
    const given = version === "v1" ? fromBase64(encoded) : undefined;
    if (given !== undefined && (await crypto.subtle.verify("HMAC", key, given, signed))) {
      return true;
    }
  }
  return false;
}

async function webhookKey(secret: string): Promise<CryptoKey> {
  const bytes = fromBase64(secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret);
  if (bytes === undefined || bytes.length === 0) {
    throw refused("webhook_secret_invalid", "the webhook secret is not whsec_ and base64");
  }
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function refused(code: string, detail: string): SuanpanError {
  return new SuanpanError({ outcome: "refused", code, detail });
}

/** The value of a header; empty when it is missing or there are several. */
function header(headers: HeaderSource, name: string): string {
  const get = (headers as { get?: unknown }).get;
  if (typeof get === "function") {
    return (headers as { get(name: string): string | null }).get(name) ?? "";
  }
  for (const [key, value] of Object.entries(headers as Record<string, string | readonly string[] | undefined>)) {
    if (key.toLowerCase() === name && value !== undefined) {
      return typeof value === "string" ? value : "";
    }
  }
  return "";
}

function split(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + by.length)];
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Decodes standard base64 in its one spelling; undefined for anything else. */
function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const binary = atob(text);
    return btoa(binary) === text ? Uint8Array.from(binary, (c) => c.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}
