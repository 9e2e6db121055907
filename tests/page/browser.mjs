// The page in Debian's chromium: from a file and from a site, every bundle judged as klero-verify judges it, by drop,
// file, paste and number; receipts; phones; the keyboard; light and dark. A violation of the page's policy, an
// error of its script or a request to anywhere else fails the test at hand.
//
//	node browser.mjs PAGE PLAYWRIGHT BIN PROOFS
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { serve } from "./site.mjs";
import { test, failures } from "./tap.mjs";

const [dir, playwright, bin, proofs] = process.argv.slice(2).map((p) => resolve(p));
const { chromium } = createRequire(join(playwright, "package.json"))("playwright-core");
const FILE = pathToFileURL(join(dir, "verify.html")).href;
const read = (name) => readFileSync(join(proofs, name));
const names = readdirSync(proofs).filter((n) => n.endsWith(".json")).sort();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

/** A fresh page with an eye on it; done() fails for anything it should not have done. */
async function open(url, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1000, height: 900 }, ...options });
	const page = await context.newPage(), wrong = [], origin = new URL(url).origin;
	page.on("console", (m) => ["error", "warning"].includes(m.type()) && !/status of 4|status of 5/.test(m.text()) && wrong.push(m.text()));
	page.on("pageerror", (e) => wrong.push(String(e)));
	page.on("request", (r) => {
		const to = new URL(r.url());
		if (to.protocol !== "data:" && !(to.origin === origin && (to.protocol !== "file:" || r.url().startsWith(FILE))))
			wrong.push(`a request to ${r.url()}`);
	});
	await page.addInitScript(() => {
		globalThis.violations = [];
		document.addEventListener("securitypolicyviolation", (e) => globalThis.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
	});
	await page.goto(url);
	const done = async () => {
		wrong.push(...await page.evaluate(() => globalThis.violations));
		await context.close();
		assert.deepEqual(wrong, []);
	};
	return { page, done };
}

/** The verdict once there is one: {kind, title, text, failed, why}. */
async function verdict(page) {
	await page.waitForFunction(() => {
		const node = document.getElementById("verdict");
		return node.querySelector("h2") && !node.querySelector("h2").textContent.startsWith("Checking");
	});
	return page.evaluate(() => {
		const node = document.getElementById("verdict"), bad = document.querySelector("#checks .fail, #checks .half");
		return {
			kind: node.className.replace("verdict", "").trim(), title: node.querySelector("h2").textContent, text: node.textContent,
			step: bad?.dataset.step ?? null, mark: bad?.className ?? null, why: bad?.querySelector(".why").textContent ?? null,
			checks: document.querySelectorAll("#checks > li.ok").length,
		};
	});
}

const give = (page, name, bytes) => page.setInputFiles("#file", { name, mimeType: "application/json", buffer: Buffer.from(bytes) });

async function trust(page) {
	await page.evaluate(() => { document.getElementById("known").open = true; });
	await page.fill("#certificates", read("certificate.pem").toString());
	await page.fill("#chain", read("chain.info").toString());
	await page.click("#trust button");
	await page.waitForFunction(() => document.querySelectorAll("#trust output.good").length === 2);
}

const TRUST = ["--drand-chain", join(proofs, "chain.info"), "--nist-certificate", join(proofs, "certificate.pem")];

function kleroVerify(name) {
	const { stdout } = spawnSync(join(bin, "klero-verify"), ["--json", ...TRUST, join(proofs, name)], { encoding: "utf8" });
	const r = JSON.parse(stdout);
	return { verified: r.verified, v1: r.steps !== undefined, step: r.steps ? r.steps.at(-1).step : r.step, why: r.why ?? null };
}

// --- every bundle ---

await test("every bundle gets klero-verify's verdict, from a file without any network", async () => {
	const { page, done } = await open(FILE, { offline: true });
	await trust(page);
	for (const name of names) {
		const theirs = kleroVerify(name);
		await give(page, name, read(name));
		const ours = await verdict(page);
		const failed = theirs.why !== null && ours.mark === "fail";
		assert.equal(ours.kind, theirs.v1 && theirs.verified ? "half" : theirs.verified ? "good" : failed ? "bad" : "half", name);
		assert.equal(ours.why, theirs.why, name);
		if (failed)
			assert.equal(ours.step, theirs.step, name);
		else
			assert.ok(name.startsWith("good"), name);
	}
	await done();
});

await test("an old draw says who chose its chance", async () => {
	const { page, done } = await open(FILE);
	await give(page, "v1", read("good-v1.json"));
	const v = await verdict(page);
	assert.equal(v.kind, "half");
	assert.match(v.text, /Reproduced; entropy chosen by the operator after close/);
	await done();
});

// --- ways in ---

const ID = "01890a5d-ac96-774b-bcce-b302099a8057", SLOW = "01890a5d-ac96-774b-bcce-b302099a8058", LARGE = "01890a5d-ac96-774b-bcce-b302099a8059";
const HTML = "01890a5d-ac96-774b-bcce-b302099a805a", AWAY = "01890a5d-ac96-774b-bcce-b302099a805b";
const site = await serve(dir, {
	[ID]: (r) => r.writeHead(200, { "Content-Type": "application/json" }).end(read("good.json")),
	[SLOW]: (r) => r.writeHead(409, { "Content-Type": "application/problem+json" }).end("{}"),
	[HTML]: (r) => r.writeHead(200, { "Content-Type": "text/html" }).end("<script>alert(1)</script>"),
	[AWAY]: (r) => r.writeHead(302, { Location: "https://elsewhere.example/" }).end(),
	[LARGE]: (r) => {
		r.writeHead(200, { "Content-Type": "application/json" });
		const piece = Buffer.alloc(1 << 20, 0x20);
		for (let i = 0; i < 66; i++)
			r.write(piece);
		r.end();
	},
});

for (const [what, path] of [["its query", `/verify?raffle=${ID}`], ["its fragment", `/verify#${ID}`]]) {
	await test(`a raffle that the address names by ${what} is fetched and judged`, async () => {
		site.asked.length = 0;
		const { page, done } = await open(site.url + path);
		const v = await verdict(page);
		assert.equal(v.kind, "half");
		assert.match(v.why, /certificate is not a known one/);
		assert.deepEqual(site.asked, [path.split("#")[0], `/api/v1/raffles/${ID}/proof`]);
		// what the reader says he knows is used at once
		await trust(page);
		await page.waitForFunction(() => document.querySelector("#verdict.good"));
		await done();
	});
}

await test("what is no proof to fetch is said, and is no verdict", async () => {
	const { page, done } = await open(`${site.url}/verify`);
	const ask = async (id) => {
		await page.fill("#raffle", id);
		await page.click("#by-raffle button");
		return verdict(page);
	};
	for (const [id, says] of [["nothing", /not a raffle/], [ID.replace("0189", "0190"), /knows no raffle/], [SLOW, /has no proof: it is not drawn/],
		[LARGE, /larger than this page reads/], ["../../../health", /not a raffle/], [AWAY, /could not be reached/]]) {
		const v = await ask(id);
		assert.equal(v.kind, "bad", id);
		assert.match(v.text, says);
	}
	const v = await ask(HTML);
	assert.deepEqual([v.kind, v.step], ["bad", "bundle"]);
	// a redirect that was refused is an error of the console, and nothing went elsewhere
	await done().catch((e) => assert.doesNotMatch(String(e.message), /a request to https:/));
});

await test("a proof is taken by drop and by paste", async () => {
	const { page, done } = await open(FILE);
	const text = read("good.json").toString(), bad = read("bad-winner-moved.json").toString();
	const drop = (t) => page.evaluate((json) => {
		const data = new DataTransfer();
		data.items.add(new File([json], "proof.json"));
		document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
		document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
	}, t);
	await trust(page);
	await drop(text);
	assert.equal((await verdict(page)).kind, "good");
	await drop(bad);
	assert.equal((await verdict(page)).kind, "bad");
	await page.evaluate((json) => {
		document.activeElement?.blur();
		const data = new DataTransfer();
		data.setData("text", json);
		document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	}, text);
	await page.waitForFunction(() => document.querySelector("#verdict.good"));
	await page.evaluate(() => { document.getElementById("text").closest("details").open = true; });
	await page.fill("#text", bad);
	await page.click("#by-text button");
	await page.waitForFunction(() => document.querySelector("#verdict.bad"));
	await done();
});

await test("the last proof given is the one that is shown", async () => {
	const { page, done } = await open(FILE);
	await trust(page);
	for (const name of ["good.json", "bad-forged-witness.json", "good-full-trees.json", "bad-other-seed.json"])
		give(page, name, read(name));
	await page.waitForTimeout(2500);
	const v = await verdict(page);
	assert.deepEqual([v.kind, v.step], ["bad", "commitment"]);
	await done();
});

// --- hostile files ---

await test("markup in a proof is text, and hostile names are names", async () => {
	const { page, done } = await open(FILE);
	const text = read("good-v1.json").toString(), markup = "<img src=x onerror=globalThis.owned=1><script>globalThis.owned=1</script>";
	const cases = [
		text.replace("A raffle", markup), text.replace(/"vkey":"[^"]*"/, JSON.stringify({ vkey: markup }).slice(1, -1)),
		read("good.json").toString().replace(/"operator_vkey":"[^"]*"/, JSON.stringify({ operator_vkey: markup }).slice(1, -1)),
		read("good.json").toString().replace(/^\{/, '{"__proto__":{"verified":true,"held":true,"kind":"good"},'),
		`{"format":${JSON.stringify(markup)}}`, '{"format":"kleroterion-proof/2","constructor":{"prototype":{"held":true}}}',
		"[".repeat(200000), `"${"\\u0041".repeat(300000)}"`, "", "null", "\u0000",
	];
	for (const [i, json] of cases.entries()) {
		await give(page, "hostile.json", Buffer.from(json));
		const v = await verdict(page);
		assert.notEqual(v.kind, "good", String(i));
		assert.equal(v.kind, i === 0 ? "half" : "bad", `${i}: ${v.text}`);
	}
	const left = await page.evaluate(() => [globalThis.owned, document.images.length, document.querySelectorAll("body script").length, {}.held, {}.verified]);
	assert.deepEqual(left, [undefined, 0, 1, undefined, undefined]);
	await done();
});

await test("an error behind the checks leaves no good verdict", async () => {
	const { page, done } = await open(FILE);
	await trust(page);
	await give(page, "good.json", read("good.json"));
	assert.equal((await verdict(page)).kind, "good");
	// what builds the story breaks
	await page.evaluate(() => {
		Intl.DateTimeFormat.prototype.format = () => { throw new Error("broken"); };
		Object.defineProperty(Intl.DateTimeFormat.prototype, "format", { get() { throw new Error("broken"); } });
	});
	await give(page, "good.json", read("good.json"));
	const v = await verdict(page);
	assert.deepEqual([v.kind, v.checks], ["bad", 0]);
	assert.match(v.text, /This page failed: broken/);
	await done();
});

await test("a file beyond the bound is refused", async () => {
	const { page, done } = await open(FILE);
	const large = join(proofs, "large");
	writeFileSync(large, Buffer.alloc(64 * 1024 * 1024 + 1, 0x20));
	await page.setInputFiles("#file", large);
	const v = await verdict(page);
	assert.equal(v.kind, "bad");
	assert.match(v.text, /larger than this page reads/);
	await done();
});

// --- receipts ---

await test("a buyer's receipt, before and after its draw is known", async () => {
	const { page, done } = await open(FILE);
	const bundle = JSON.parse(read("good.json")), won = bundle.winners[1];
	const ticket = async () => {
		await page.click("#by-receipt > button");
		await page.waitForTimeout(150);
		return page.evaluate(() => ({ kind: document.getElementById("ticket").className, text: document.getElementById("ticket").textContent }));
	};
	await page.fill("#proof", won.tlog_proof);
	await page.fill("#leaf", won.leaf_hex);
	await page.fill("#key", bundle.tickets_vkey);
	let said = await ticket();
	assert.match(said.kind, /good/);
	assert.match(said.text, new RegExp(`Ticket ${won.index} is in the list.*Check the raffle`));
	await give(page, "good.json", read("good.json"));
	await verdict(page);
	said = await ticket();
	assert.match(said.text, /It won: winner 2/);
	await page.fill("#leaf", won.leaf_hex.slice(0, -1) + (won.leaf_hex.endsWith("0") ? "1" : "0"));
	said = await ticket();
	assert.match(said.kind, /bad/);
	await done();
});

// --- people ---

const contrast = () => {
	const parse = (c) => c.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const under = (node) => {
		for (let n = node; n; n = n.parentElement) {
			const c = parse(getComputedStyle(n).backgroundColor);
			if (c.length === 3 || c[3] === 1)
				return c;
		}
		return [255, 255, 255];
	};
	const low = [];
	for (const node of document.querySelectorAll("body *")) {
		const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim() !== "");
		if (!own || !node.checkVisibility() || node.closest("svg, .skip"))
			continue;
		const [a, b] = [light(parse(getComputedStyle(node).color)), light(under(node))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5)
			low.push(`${node.tagName}.${node.className} ${node.textContent.slice(0, 20)} ${(a + 0.05) / (b + 0.05)}`);
	}
	return low;
};

for (const colorScheme of ["light", "dark"]) {
	for (const width of [360, 1000]) {
		await test(`${colorScheme} at ${width} pixels: nothing overflows, all can be read, everything has a name`, async () => {
			const { page, done } = await open(FILE, { colorScheme, viewport: { width, height: 740 }, hasTouch: width < 500 });
			await trust(page);
			for (const name of ["good-full-trees.json", "bad-winner-moved.json", "good-v1.json", "good-few-holders.json"]) {
				await give(page, name, read(name));
				await verdict(page);
				await page.waitForTimeout(300);
				await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
				const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
				assert.ok(wide <= screen, `${name}: ${wide} on ${screen}`);
				assert.deepEqual(await page.evaluate(contrast), [], name);
			}
			const nameless = await page.evaluate(() => [...document.querySelectorAll("input, textarea, button, [role=img], [role=region]")]
				.filter((n) => !(n.labels?.length > 0 || n.textContent.trim() || n.getAttribute("aria-label"))).map((n) => n.id || n.outerHTML.slice(0, 80)));
			assert.deepEqual(nameless, []);
			const small = await page.evaluate(() => [...document.querySelectorAll("button, .button")].filter((n) => n.checkVisibility() && n.getBoundingClientRect().height < 44).length);
			assert.equal(small, 0, "buttons for a thumb");
			await done();
		});
	}
}

await test("the keyboard reaches everything, in order, and the verdict is announced", async () => {
	const { page, done } = await open(FILE);
	const reached = [];
	for (let i = 0; i < 14; i++) {
		await page.keyboard.press("Tab");
		reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
	}
	for (const id of ["file", "Or paste its text", "proof", "leaf", "key", "Check the ticket"])
		assert.ok(reached.includes(id), `${id} of ${reached}`);
	assert.equal(await page.evaluate(() => document.getElementById("verdict").getAttribute("aria-live")), "polite");
	await give(page, "good.json", read("good.json"));
	await verdict(page);
	assert.equal(await page.evaluate(() => document.activeElement.id), "result");
	await done();
});

await test("who wants no motion gets none", async () => {
	const { page, done } = await open(FILE, { reducedMotion: "reduce" });
	await give(page, "good.json", read("good.json"));
	await verdict(page);
	assert.equal(await page.evaluate(() => getComputedStyle(document.getElementById("verdict")).animationName), "none");
	await done();
});

await test("the same sources give the same bytes", async () => {
	const again = join(proofs, "again");
	mkdirSync(again);
	for (const name of ["node_modules", "package.json"])
		symlinkSync(join(dir, name), join(again, name));
	execFileSync("node", ["daemon/page/build.mjs", again]);
	for (const name of ["verify.html", "verify.c", "check.mjs"])
		assert.ok(readFileSync(join(dir, name)).equals(readFileSync(join(again, name))), name);
});

site.close();
await browser.close();
process.exit(failures() > 0 ? 1 : 0);
