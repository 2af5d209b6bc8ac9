import { SuanpanError } from "./errors.js";

/** A request that is about to be sent. */
export interface UnsignedRequest {
  method: string;
  url: URL;
  /** Authorization and Idempotency-Key are there; a signer adds its own headers. */
  headers: Headers;
  body: Uint8Array<ArrayBuffer> | undefined;
}

/** Adds a signature to the headers of a request. It is called anew for every try, because a signature is taken once. */
export type Signer = (request: UnsignedRequest) => Promise<void>;

/** How long a signature is good: the most that the API takes. */
const lifetimeSeconds = 300;

/**
 * A signer by HTTP Message Signatures (RFC 9421) with Ed25519 and Content-Digest. keyId is the id of the signing key
 * (`sgk_…`) whose public half is registered; privateKey is its private half, as PEM (PKCS #8, "BEGIN PRIVATE KEY") or
 * as an Ed25519 CryptoKey that may sign.
 *
 *     const api = new Suanpan({ key, baseUrls, signer: await newSigner("sgk_…", pem) });
 */
export async function newSigner(keyId: string, privateKey: string | CryptoKey): Promise<Signer> {
  if (!/^[!#-[\]-~]{1,64}$/.test(keyId)) {
    throw invalid("keyId", "give the id of a signing key, sgk_…");
  }
  const key = typeof privateKey === "string" ? await keyOf(privateKey) : privateKey;
  if (key.algorithm.name !== "Ed25519" || !key.usages.includes("sign")) {
    throw invalid("privateKey", "give an Ed25519 private key that may sign");
  }
  return async ({ method, url, headers, body }) => {
    headers.delete("content-digest");
    if (body !== undefined && body.length > 0) {
      headers.set("content-digest", await contentDigest(body));
    }
    const covered: [string, string][] = [
      ["@method", method],
      ["@authority", url.host],
      ["@path", url.pathname],
      ["@query", `?${url.search.slice(1)}`],
    ];
    for (const field of ["authorization", "content-digest", "idempotency-key"]) {
      const value = headers.get(field);
      if (value !== null) {
        covered.push([field, value]);
      }
    }
    const created = Math.floor(Date.now() / 1000);
    const nonce = crypto.randomUUID();
    const names = covered.map(([name]) => `"${name}"`).join(" ");
    const params =
      `(${names});created=${created};expires=${created + lifetimeSeconds}` +
      `;nonce="${nonce}";keyid="${keyId}";alg="ed25519"`;
    headers.set("signature-input", `sig1=${params}`);
    headers.set("signature", `sig1=:${await signed(key, signatureBase(covered, params))}:`);
  };
}

/** The text that is signed (RFC 9421, 2.5). */
export function signatureBase(covered: readonly (readonly [string, string])[], params: string): string {
  return [...covered.map(([name, value]) => `"${name}": ${value}`), `"@signature-params": ${params}`].join("\n");
}

/** The value of Content-Digest (RFC 9530), by SHA-256. */
export async function contentDigest(body: Uint8Array<ArrayBuffer>): Promise<string> {
  return `sha-256=:${base64(await crypto.subtle.digest("SHA-256", body))}:`;
}

/** The Ed25519 signature of a text, in base64. */
export async function signed(key: CryptoKey, text: string): Promise<string> {
  return base64(await crypto.subtle.sign("Ed25519", key, new TextEncoder().encode(text)));
}

/** Reads a private key in PEM. */
export async function keyOf(pem: string): Promise<CryptoKey> {
  const inner = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(pem)?.[1];
  if (inner === undefined) {
    throw invalid("privateKey", 'give the key as PEM, "-----BEGIN PRIVATE KEY-----" (openssl genpkey -algorithm ed25519)');
  }
  try {
    const bytes = Uint8Array.from(atob(inner.replace(/\s/g, "")), (c) => c.charCodeAt(0));
    return await crypto.subtle.importKey("pkcs8", bytes, "Ed25519", false, ["sign"]);
  } catch (cause) {
    throw invalid("privateKey", "the PEM is not an Ed25519 private key, or this platform has no Ed25519", cause);
  }
}

function base64(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

function invalid(field: string, detail: string, cause?: unknown): SuanpanError {
  return new SuanpanError({ outcome: "not_sent", code: "option_invalid", detail, field, cause });
}
