// The page as a real appliance serves it, in chromium: does what the JSON on standard input says, a line a question,
// and answers each with a line. Any violation of the page's policy, any error and any request to elsewhere is told.
//
//	node live.mjs PLAYWRIGHT
//	  {"url": …}                               opens it; the verdict, if its address asks for one
//	  {"trust": {chain: …, delay: …}}          what a reader knows; the verdict of the last proof
//	  {"receipt": …, "key": …, "holder": …}    the form for tickets
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const { chromium } = createRequire(resolve(process.argv[2], "package.json"))("playwright-core");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage(), wrong = [];
let origin;
page.on("pageerror", (e) => wrong.push(String(e)));
page.on("request", (r) => !r.url().startsWith("data:") && new URL(r.url()).origin !== origin && wrong.push(r.url()));
await page.addInitScript(() => {
	globalThis.violations = [];
	document.addEventListener("securitypolicyviolation", (e) => globalThis.violations.push(e.violatedDirective));
});

const said = (id) => page.evaluate((at) => {
	const node = document.getElementById(at);
	return { kind: node.className.replace("verdict", "").trim(), text: node.textContent };
}, id);

const judged = () => page.waitForFunction(() => /^(?!Checking).+/.test(document.querySelector("#verdict h2")?.textContent ?? ""), null, { timeout: 60000 });

async function know({ trust }) {
	await page.evaluate(() => { document.getElementById("known").open = true; });
	for (const [id, value] of Object.entries(trust))
		await page.fill(`#${id}`, value);
	await page.evaluate(() => document.getElementById("verdict").replaceChildren());
	await page.click("#trust button");
	await judged();
	return said("verdict");
}

async function open({ url }) {
	({ origin } = new URL(url));
	await page.goto("about:blank");
	const response = await page.goto(url);
	if (/[#?]/.test(url))
		await judged();
	return { ...await said("verdict"), policy: response.headers()["content-security-policy"] };
}

async function ticket({ receipt, key = null, holder = "", leaf = "" }) {
	await page.evaluate(() => document.querySelectorAll("#receipt details").forEach((d) => { d.open = true; }));
	for (const [id, value] of Object.entries({ proof: receipt, key, holder, leaf }))
		if (value !== null)
			await page.fill(`#${id}`, value);
	await page.evaluate(() => document.getElementById("ticket").replaceChildren());
	await page.click("#by-receipt > button");
	await page.waitForFunction(() => document.querySelector("#ticket h2"));
	return { ...await said("ticket"), leaf: await page.inputValue("#leaf") };
}

for await (const line of createInterface({ input: process.stdin })) {
	const question = JSON.parse(line), answer = await (question.url ? open : question.trust ? know : ticket)(question);
	const violations = await page.evaluate(() => globalThis.violations);
	process.stdout.write(JSON.stringify({ ...answer, wrong: [...wrong, ...violations] }) + "\n");
}
await browser.close();
