export type { AnswerInfo, CallOptions, PostOptions } from "./call.js";
export { newIdempotencyKey, Suanpan, type SuanpanOptions } from "./client.js";
export { isCode, type Outcome, SuanpanError } from "./errors.js";
export { Listing, type Page } from "./listing.js";
export type * from "./schema.gen.js";
export { newSigner, type Signer, type UnsignedRequest } from "./signature.js";
export { type HeaderSource, verifyWebhook, type WebhookOptions } from "./webhook.js";
