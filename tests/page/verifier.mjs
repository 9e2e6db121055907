// The page's verifier, without the page, against the vectors and against klero-verify: both judge every file the
// same, by the same step and in the same words.
//
//	node verifier.mjs CHECK BIN PROOFS MUTATIONS [SEED]
//	  CHECK   check.mjs as daemon/page/build.mjs makes it; BIN: the folder of klero-verify
//	  PROOFS  what tests/tools/proofs.c writes; MUTATIONS: how many altered files are compared besides
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash, webcrypto } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test, failures } from "./tap.mjs";

const [check_mjs, bin, proofs, mutations, seed = "1"] = process.argv.slice(2);
// what browsers have, Debian 12's node has under another name
globalThis.crypto ??= webcrypto;
const page = await import(resolve(check_mjs));
const { check, hex, unhex, utf8 } = page;
const read = (name) => readFileSync(join(proofs, name));
const text = (name) => read(name).toString();
const lines = (file) => readFileSync(file, "utf8").split("\n").filter((l) => l !== "" && !l.startsWith("#")).map((l) => l.split(" "));

/** An Ed25519 verifier key under another name (c2sp.org/signed-note). */
function named(vkey, change) {
	const [name, , ...rest] = vkey.trim().split("+"), key = rest.join("+"), other = change(name);
	const id = createHash("sha256").update(`${other}\n`).update(Buffer.from(key, "base64")).digest("hex").slice(0, 8);
	return `${other}+${id}+${key}`;
}

// --- klero-verify ---

// what an auditor knows, for both
const KNOWN = {
	nothing: { args: [], texts: {} },
	everything: {
		args: ["--vkey", text("vkey"), "--drand-chain", join(proofs, "chain.info"), "--nist-certificate", join(proofs, "certificate.pem")],
		texts: { operatorKey: text("vkey"), chain: text("chain.info"), certificates: text("certificate.pem") },
	},
	// the operator's key by the name that earlier versions published it under
	"the notes' name": { args: ["--vkey", named(text("vkey"), (n) => `${n}/log`)], texts: { operatorKey: named(text("vkey"), (n) => `${n}/log`) } },
	"another name": { args: ["--vkey", named(text("vkey"), (n) => `${n}/x`)], texts: { operatorKey: named(text("vkey"), (n) => `${n}/x`) } },
	commit: { args: ["--commit", text("commit")], texts: { commit: text("commit") } },
	"another commit": { args: ["--commit", "0".repeat(64)], texts: { commit: "0".repeat(64) } },
	"a shorter delay": { args: ["--min-delay", "599"], texts: { delay: "599" } },
};
for (const known of Object.values(KNOWN)) {
	const { trust, errors } = await page.readTrust(known.texts);
	assert.deepEqual(errors, {});
	known.trust = trust;
}

function kleroVerify(file, args) {
	return new Promise((done, broken) => {
		execFile(join(bin, "klero-verify"), ["--json", ...args, file], (error, out) => {
			if (error !== null && error.code !== 1)
				broken(new Error(`klero-verify ${file}: ${error}`));
			else
				done(JSON.parse(out));
		});
	});
}

// offsets are each program's own, and so is what is said of a document that is no object
const words = (why) => (why ?? "").replace(/, at byte [0-9]+$/, "").replace(/^the bundle is not an object$/, "")
	.replace(/^the bundle has no member "[a-z_]+"$/, "").replace(/^not a JSON text in UTF-8$/, "");

async function agree(bytes, file, known) {
	const [theirs, ours] = await Promise.all([kleroVerify(file, known.args), check(bytes, known.trust)]);
	const v1 = theirs.steps !== undefined;
	const step = v1 ? theirs.steps.at(-1).step : theirs.step;
	const said = { verified: ours.verified, step: ours.step, why: words(ours.why) };
	assert.deepEqual(said, { verified: theirs.verified, step, why: words(theirs.why) });
	if (!v1)
		assert.deepEqual([...ours.levels].sort(), [...theirs.levels].sort());
	return ours;
}

// --- files ---

const names = readdirSync(proofs).filter((n) => n.endsWith(".json")).sort();
for (const name of names) {
	await test(`${name} is judged as klero-verify judges it`, async () => {
		const results = {};
		for (const [what, known] of Object.entries(KNOWN))
			results[what] = await agree(read(name), join(proofs, name), known);
		// the v1 bundles have another signer
		assert.equal(results[name.includes("-v1") ? "nothing" : "everything"].held, name.startsWith("good"), "held");
		if (name.startsWith("bad"))
			assert.ok(Object.entries(results).every(([what, r]) => !r.verified || what === "a shorter delay"));
	});
}

const good = read("good.json");
const withMember = (member) => Buffer.from(good.toString().replace(/^\{/, `{${member},`));
const nested = (n) => Buffer.from("[".repeat(n) + "]".repeat(n));
const HOSTILE = {
	"nothing": Buffer.alloc(0), "a blank": Buffer.from(" "), "a list": Buffer.from("[]"), "a number": Buffer.from("17"),
	"an empty object": Buffer.from("{}"), "a byte order mark": Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), good]),
	"a second member": withMember('"policy":""'), "a second member in escapes": withMember('"p\\u006flicy":""'),
	"__proto__": withMember('"__proto__":{"verified":true}'), "constructor": withMember('"constructor":{"prototype":{}}'),
	"toString": withMember('"toString":1'), "hasOwnProperty": withMember('"hasOwnProperty":0'),
	"depth": nested(100000), "depth of 17": nested(17), "depth of 16": nested(16),
	"a NUL": Buffer.from(good.toString().replace("log draws", "log\\u0000draws")),
	"half a pair": Buffer.from(good.toString().replace("log draws", "\\ud800 draws")),
	"bad UTF-8": Buffer.from(good.toString("latin1").replace("log draws", "log\xc3\x28draws"), "latin1"),
	"an overlong": Buffer.from(good.toString("latin1").replace("log draws", "log\xc0\x80draws"), "latin1"),
	"a number's fraction": Buffer.from(good.toString().replace('"round":1000000', '"round":1000000.0')),
	"a number's exponent": Buffer.from(good.toString().replace('"round":1000000', '"round":1e6')),
	"a large number": Buffer.from(good.toString().replace('"round":1000000', '"round":18446744073709551617000000')),
	"behind the end": Buffer.concat([good, Buffer.from("{}")]), "v1 words in v2": Buffer.from(good.toString().replace("proof/2", "proof/1")),
	"another format": Buffer.from(good.toString().replace("proof/2", "proof/3")),
	"an open member of markup": Buffer.from(good.toString().replace("kleroterion/v2 open", "<img src=x onerror=alert(1)>")),
	"many values": Buffer.from("[" + "0,".repeat(500000) + "0]"),
	"an object as a list": Buffer.from(good.toString().replace('"passed":[]', '"passed":{}')),
	"nobody listed": Buffer.from(good.toString().replace('"passed":[]', '"passed":null')),
	"a null winner": Buffer.from(good.toString().replace('"passed":[]', '"passed":[null]')),
};
const pem = (change) => Buffer.from(JSON.stringify({ ...JSON.parse(good),
	beacons: JSON.parse(good).beacons.map((b) => (b.certificate_pem ? { ...b, certificate_pem: change(b.certificate_pem) } : b)) }));
Object.assign(HOSTILE, {
	"PEM behind something": pem((p) => `x${p}`), "PEM with a form feed": pem((p) => p.replace(/\n(?=.{64}\n)/, "\f")),
	"PEM with an empty line": pem((p) => p.replace(/(\n.{64}\n)/, "$1\n")), "PEM of another kind": pem((p) => p.replaceAll("CERTIFICATE", "PUBLIC KEY")),
	"PEM without an end": pem((p) => p.replace(/-----END.*/, "")), "PEM with another end": pem((p) => p.replace("END CERT", "END XERT")),
	"no PEM": pem(() => ""), "another certificate": pem(() => text("certificate.pem").replace(/[A-Z](?=.{60}\n)/, (c) => (c === "A" ? "B" : "A"))),
});
for (const [name, bytes] of Object.entries(HOSTILE)) {
	await test(`hostile: ${name}`, async () => {
		const file = join(proofs, "hostile");
		writeFileSync(file, bytes);
		const r = await agree(bytes, file, KNOWN.everything);
		assert.ok(!r.verified && !r.held);
	});
}
await test("a file beyond the bound is refused unread", async () => {
	const r = await check(new Uint8Array(64 * 1024 * 1024 + 1));
	assert.ok(!r.verified && /larger than this page reads/.test(r.why));
});
await test("whatever throws is no verdict", async () => {
	const r = await check(good, KNOWN.everything.trust, async (step) => {
		if (step === "witnesses")
			throw new TypeError("the page broke");
	});
	assert.ok(!r.verified && !r.held && /this page failed: the page broke/.test(r.why));
});

// --- time stamps: tokens of the openssl command over the close record's checkpoint ---

const TSA = `[req]
prompt = no
distinguished_name = dn
[dn]
CN = authority
[tsa_ext]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = t
[t]
serial = serial
digests = sha256, sha512, sha1
signer_digest = sha256
default_policy = 1.2.3.4
ess_cert_id_alg = sha256
`;

function makeTokens(folder, over) {
	mkdirSync(folder);
	for (const [name, content] of Object.entries({ conf: TSA, serial: "01\n", text: over }))
		writeFileSync(join(folder, name), content);
	const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
	openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert", "-days", "9", "-config", "conf", "-extensions", "tsa_ext");
	return Object.fromEntries(["sha256", "sha512", "sha1"].map((digest) => {
		openssl("ts", "-query", "-data", "text", `-${digest}`, "-cert", "-out", "query");
		openssl("ts", "-reply", "-config", "conf", "-queryfile", "query", "-signer", "cert", "-inkey", "key", "-out", digest, "-token_out");
		return [digest, readFileSync(join(folder, digest))];
	}));
}

await test("time stamps are read, and never taken for checked", async () => {
	const bundle = JSON.parse(good), checkpoint = page.parseProof(bundle.close_proof).note;
	const tokens = makeTokens(join(proofs, "tsa"), checkpoint.slice(0, checkpoint.lastIndexOf("\n\n") + 1));
	const other = makeTokens(join(proofs, "tsa-other"), "another text\n").sha256;
	const cut = tokens.sha256.subarray(0, -1), long = Buffer.concat([tokens.sha256, Buffer.from([0])]);
	for (const [list, held] of [[[tokens.sha256], true], [[tokens.sha512, tokens.sha256], true], [[other], false], [[tokens.sha256, other], false],
		[[tokens.sha1], false], [[cut], false], [[long], false], [[Buffer.alloc(0)], false], [[Buffer.from("token")], false]]) {
		const file = join(proofs, "stamped");
		const timestamps = list.map((token) => ({ token: token.toString("base64"), certificates_pem: "" }));
		writeFileSync(file, JSON.stringify({ ...bundle, timestamps }));
		const r = await agree(readFileSync(file), file, KNOWN.everything);
		assert.equal(r.held, held);
		assert.ok(!r.verified);
	}
});

// --- mutations ---

// xorshift32: the same files for the same seed
let state = Number(seed) * 2654435761 >>> 0 || 1;
function random(n) {
	state ^= state << 13;
	state ^= state >>> 17;
	state ^= state << 5;
	return (state >>> 0) % n;
}

const MUTATE = [
	(b, at) => b.fill(b[at] ^ (1 << random(8)), at, at + 1),
	(b, at) => b.fill(random(256), at, at + 1),
	(b, at) => b.fill("0123456789abcdef+/ \n\"\\".charCodeAt(random(22)), at, at + 1),
	(b, at) => Buffer.concat([b.subarray(0, at), b.subarray(at + 1)]),
	(b, at) => Buffer.concat([b.subarray(0, at), b.subarray(at, at + 1 + random(200)), b.subarray(at)]),
	(b, at) => b.subarray(0, at),
	(b, at) => Buffer.concat([b.subarray(0, at), b.subarray(at + random(300))]),
];

async function mutation(i) {
	const from = ["good.json", "good-dedupe.json", "good-own-chain.json", "good-v1.json"][i % 4];
	const bytes = Buffer.from(read(from));
	// a changed byte, three times in four; it goes deeper than a file that is no JSON
	const kind = random(4) > 0 ? random(3) : random(MUTATE.length);
	const altered = MUTATE[kind](bytes, random(bytes.length));
	const file = join(proofs, `altered-${i}`);
	writeFileSync(file, altered);
	await agree(altered, file, KNOWN.everything).catch((e) => {
		throw new Error(`${file}, of ${from}: ${e.message}`);
	});
}

await test(`${mutations} altered files are judged as klero-verify judges them`, async () => {
	const AT_ONCE = 4;
	for (let i = 0; i < Number(mutations); i += AT_ONCE)
		await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => mutation(i + k)));
});

// --- vectors ---

const vectors = Object.fromEntries(lines("tests/vectors/draw2.txt").map(([name, ...rest]) => [name, rest]));
const draw2 = (name) => readFileSync(join("tests/vectors/draw2", name), "utf8");
const keys = Object.fromEntries(lines("tests/vectors/draw2/keys.txt"));

await test("the vectors' records, context, key and winners", async () => {
	const open = page.parseRecord(draw2("open.record"), "open"), close = page.parseRecord(draw2("close.record"), "close");
	const draw = page.parseRecord(draw2("draw.record"), "draw");
	const leaf = await page.leafHash(utf8(draw2("open.record")));
	assert.equal(hex(leaf), vectors.open_leaf_hash[0]);
	const kdf = await page.kdfBy(draw.serverSeed);
	assert.equal(hex(await kdf("kleroterion/v2/seed-commit", open.raffle)), vectors.seed_commit[0]);
	const context = await page.contextOf(open.raffle, leaf, close.tickets, close.root, draw.beacons);
	assert.equal(hex(context), vectors.context[0]);
	const key = await kdf("kleroterion/v2/draw-key", context);
	assert.equal(hex(key), vectors.draw_key[0]);
	const places = await page.shuffle(key, close.tickets, 5);
	assert.deepEqual(places.map((p) => String(p.index)), vectors.winners.slice(1));
	assert.deepEqual([...draw.winners, ...draw.reserves].map((p) => String(p.index)), vectors.winners.slice(1));
});
await test("the vectors' draws", async () => {
	const rows = lines("tests/vectors/draw2.txt").filter(([name]) => name === "numeric");
	assert.ok(rows.length >= 7);
	for (const [, key, n, k, taken, ...winners] of rows) {
		const places = await page.shuffle(unhex(key), BigInt(n), Number(k));
		assert.deepEqual(places.map((p) => String(p.index)), winners);
		assert.equal(places.reduce((sum, p) => sum + 1 + p.skipped, 0), Number(taken));
	}
});
await test("the vectors' holders and client seeds", async () => {
	for (const [name, , , , holder, salt, seedHex, commit, seedHash] of lines("tests/vectors/draw2.txt")) {
		if (name !== "ticket")
			continue;
		assert.equal(hex(await page.holderCommit(unhex(salt), holder)), commit);
		assert.equal(hex(await page.clientSeedHash(seedHex === "-" ? new Uint8Array() : unhex(seedHex))), seedHash);
	}
});
await test("the vectors' proof of the draw record", async () => {
	const key = await page.parseLogKey(keys.operator), proof = page.parseProof(draw2("draw.tlog-proof"));
	const leaf = await page.leafHash(utf8(draw2("draw.record")));
	assert.equal((await page.checkProof(proof, leaf, key)).state, "ok");
	leaf[0] ^= 1;
	assert.equal((await page.checkProof(proof, leaf, key)).state, "path");
});
/** The same point, with an x that is not reduced; null where that has no 381 bits. */
function otherEncoding(signature) {
	const p = 0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn;
	const flags = BigInt(`0x${signature}`) >> 381n, x = (BigInt(`0x${signature}`) & ((1n << 381n) - 1n)) + p;
	return x >> 381n ? null : ((flags << 381n) | x).toString(16).padStart(96, "0");
}

await test("one encoding of a drand signature", async () => {
	let tried = 0;
	for (const [kind, round, signature] of lines("tests/vectors/drand.txt")) {
		const other = kind === "round" ? otherEncoding(signature) : null;
		if (other !== null) {
			assert.ok(!await page.verifyRound(page.quicknet, BigInt(round), unhex(other)), other);
			tried++;
		}
	}
	assert.ok(tried > 0);
});

await test("drand's rounds, and every forgery", async () => {
	let rounds = 0, forged = 0;
	for (const [kind, round, signature] of lines("tests/vectors/drand.txt")) {
		if (kind === "round" && ++rounds)
			assert.ok(await page.verifyRound(page.quicknet, BigInt(round), unhex(signature)), `round ${round}`);
		if (kind === "forged" && ++forged)
			assert.ok(!await page.verifyRound(page.quicknet, BigInt(round), unhex(signature)), signature);
	}
	assert.ok(rounds >= 10 && forged >= 10);
});
await test("NIST's pulses under their certificate", async () => {
	const pem = readFileSync("tests/vectors/nist/cert-528943a5.pem", "utf8");
	for (const name of ["pulse-2-1884240", "pulse-2-1918805"]) {
		const json = readFileSync(`tests/vectors/nist/${name}.json`);
		const p = page.parsePulse(page.parseJson(json, 128));
		assert.ok(await page.verifyPulse(p, pem), name);
		for (const field of ["local", "signature", "output", "precommitment"]) {
			p[field][3] ^= 1;
			assert.ok(!await page.verifyPulse(p, pem), `${name} ${field}`);
			p[field][3] ^= 1;
		}
	}
});
await test("proofs of inclusion, good and bad", async () => {
	let n = 0;
	for (const [kind, verdict, index, size, leaf, root, ...path] of lines("tests/vectors/merkle.txt")) {
		if (kind !== "inclusion")
			continue;
		n++;
		const hashes = path.length === 1 && path[0] === "-" ? [] : path.map((p) => unhex(p));
		// whose hashes are of another size does not get as far as this
		const good = unhex(leaf)?.length === 32 && unhex(root)?.length === 32 && hashes.every((p) => p?.length === 32)
			&& await page.inTree(unhex(leaf), BigInt(index), BigInt(size), hashes, unhex(root));
		assert.equal(good, verdict === "good", `${index} of ${size}`);
	}
	assert.ok(n > 40);
});

// --- receipts ---

await test("a receipt: the ticket, its buyer, his client seed", async () => {
	const [, index, issued, ticket, holder, salt, seedHex, commit, seedHash] =
		lines("tests/vectors/draw2.txt").find((l) => l[0] === "ticket" && l[1] === "7");
	const leaf = hex(utf8("KLT2")) + vectors.raffle_id[0] + hex(page.u64(BigInt(index))) + hex(page.u64(BigInt(issued)))
		+ ticket + commit + seedHash;
	// the vector has no extra line, in which the appliance writes the salt
	const extra = `extra ${page.base64(unhex(salt))}\nindex`;
	const texts = { proof: draw2("ticket-7.tlog-proof").replace("index", extra), leaf, key: keys.tickets };
	const own = { holder, seed: Buffer.from(seedHex, "hex").toString() };
	const r = await page.checkReceipt({ ...texts, ...own }, null);
	assert.deepEqual([r.why, r.ok, r.leaf?.index, r.said], [null, true, 7n, { holder: true, seed: true }]);
	const bad = async (change, why) => {
		const got = await page.checkReceipt({ ...texts, ...change }, null);
		assert.ok(!got.ok && why.test(got.why), got.why ?? "accepted");
	};
	await bad({ holder: "somebody@example.org" }, /not of that buyer/);
	await bad({ seed: "another" }, /not bought with/);
	await bad({ leaf: leaf.slice(0, -1) + (leaf.endsWith("0") ? "1" : "0") }, /not in the log/);
	await bad({ leaf: leaf.slice(2) }, /116 bytes/);
	// the operator's key signs all its logs, whatever name it is given by; nobody else's does
	for (const key of [keys.operator, named(keys.operator, (n) => `${n}/log`)])
		assert.ok((await page.checkReceipt({ ...texts, key }, null)).ok);
	await bad({ key: named(keys.operator, (n) => `x${n}`) }, /not signed|another log/);
	await bad({ proof: texts.proof.replace("index 7", "index 6") }, /another ticket/);
	await bad({ proof: texts.proof.replace("index 7", "index 07") }, /not a tlog-proof/);
	await bad({ proof: texts.proof.replace(/(— draws\S+ .{40})(.)/, (_, before, c) => before + (c === "A" ? "B" : "A")) }, /was altered/);
});
await test("a receipt of a drawn raffle names its place", async () => {
	const bundle = JSON.parse(good), draw = await check(good, KNOWN.everything.trust);
	for (const [i, w] of bundle.winners.entries()) {
		const texts = { proof: w.tlog_proof, leaf: w.leaf_hex, key: bundle.tickets_vkey };
		const r = await page.checkReceipt(texts, draw);
		assert.deepEqual([r.why, r.fate.place, r.fate.pos], [null, i < 3 ? "winner" : "reserve", w.pos]);
		assert.equal((await page.checkReceipt(texts, null)).fate, null);
	}
});

process.exit(failures() > 0 ? 1 : 0);
