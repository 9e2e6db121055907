// Builds the page GET /verify: one HTML file with its style and its script inside, and what the daemon and the
// tests take of it.
//
//	node build.mjs DIR      DIR: with node_modules as packaging/npm.sh makes it
//
//	DIR/verify.html     the page; its meta element holds the policy for whoever opens it from a file
//	DIR/verify.c        the same for klerod-net: see daemon/net/page.h
//	DIR/check.mjs       the verifier without the page, for tests in node
// The same sources and packages give the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url)), dir = resolve(process.argv[2]);
const esbuild = createRequire(join(dir, "package.json"))("esbuild");
const read = (name) => readFileSync(join(here, name), "utf8");

// several makes may build at once: each file comes into being whole
function write(name, text) {
	const temporary = join(dir, `${name}.${process.pid}`);
	writeFileSync(temporary, text);
	renameSync(temporary, join(dir, name));
}

const bundle = (entry, options) => esbuild.buildSync({
	entryPoints: [join(here, "src", entry)], absWorkingDir: here, nodePaths: [join(dir, "node_modules")], bundle: true,
	write: false, minify: true, charset: "ascii", legalComments: "none", target: "es2022", logLevel: "warning", ...options,
}).outputFiles[0].text;

const script = bundle("page.js", { format: "iife" }).trim();
const style = esbuild.transformSync(read("style.css"), { loader: "css", minify: true, charset: "ascii" }).code.trim();
if (/<\/(?:script|style)|<!--/i.test(script + style))
	throw new Error("the script or the style would end its element");

const source = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
	"default-src 'none'", `script-src ${source(script)}`, `style-src ${source(style)}`, "img-src data:", "connect-src 'self'",
	"base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
].join("; ");

// by functions: the texts have dollar signs
const html = read("index.html")
	.replace("@policy@", () => policy).replace("@style@", () => style).replace("@script@", () => script);
const bytes = Buffer.from(html);
const tag = createHash("sha256").update(bytes).digest("hex").slice(0, 32);

const rows = [];
for (let i = 0; i < bytes.length; i += 32)
	rows.push(`\t${Array.from(bytes.subarray(i, i + 32)).join(",")},`);
const c = `/* Made from daemon/page by its build.mjs. */
#include "daemon/net/page.h"

const unsigned char page_html[] = {
${rows.join("\n")}
};
const size_t page_html_len = sizeof page_html;
const char page_policy[] = "${policy}; frame-ancestors 'none'";
const char page_tag[] = "\\"${tag}\\"";
`;

write("check.mjs", bundle("tests.js", { format: "esm", minify: false }));
write("verify.html", html);
// last: make looks at this one
write("verify.c", c);
