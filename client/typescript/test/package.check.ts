// Says whether the package that npm would publish is complete and holds nothing else: npm run check-package.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--silent"], { encoding: "utf8" })) as {
  files: { path: string }[];
  size: number;
}[];
const files = (packed?.files ?? []).map((file) => file.path);
for (const needed of ["package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "dist/schema.gen.d.ts"]) {
  assert.ok(files.includes(needed), `${needed} is missing in ${files.join(", ")}`);
}
for (const file of files) {
  assert.match(file, /^(package\.json|README\.md|LICENSE|dist\/[a-z.]+\.(js|d\.ts))$/);
}
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies?: object };
assert.equal(manifest.dependencies, undefined, "the client has no dependencies");
const name = "@suanpan/client"; // resolved by the package's own exports, as an importer would
const exported = (await import(name)) as object;
for (const needed of ["Suanpan", "SuanpanError", "isCode", "newIdempotencyKey", "newSigner", "verifyWebhook", "Listing"]) {
  assert.ok(needed in exported, `${needed} is not exported`);
}
console.log(`${files.length} files, ${packed?.size} bytes packed`);
