// A drand chain and a NIST beacon of our own, served over HTTPS by relays that can lie; and a DNS server
// for their names. For tests and the demo.
//
//	node relay.mjs FOLDER [--period S] [--relays N] [--nist N] [--seed TEXT] [--genesis UNIX] [--six PORT]
//
// Says one line of JSON when it serves: {"chain": file of the chain's information, "hash", "ca": file of
// the authority, "relays": [URLs], "nist": [URLs], "nist_certificate": file, "dns": "127.0.0.1:port"}.
// Reads commands, a line of JSON each, and answers each with {}:
//	{"relay": 0, "mode": "torsion"}      see `modes`; "honest" again; with "only": "rounds" its newest is true
//	{"nist": 0, "mode": "skip"}
//	{"offset": 300}                      all of them live so many seconds in the future
//	{"truncate": true}                   DNS answers by TCP only
//	{"six": true}                        names have an address of IPv6 alone, and a DNS server is there, see --six
//	{"asked": true}                      answers with the paths that were asked for since the last time
// Ends with its standard input. Names end with .test and are all 127.0.0.1. With --six the relays are at
// [::1], too, and on demand another DNS server at that port of it.
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, sign as rsaSign, X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { createServer as createTcp } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { forgeries, hex, makeChain } from "./chain.mjs";

const argv = process.argv.slice(3);
const option = (name, otherwise) => {
	const at = argv.indexOf("--" + name);
	return at < 0 ? otherwise : argv[at + 1];
};
const folder = resolve(process.argv[2]);
mkdirSync(folder, { recursive: true });
const period = Number(option("period", "1"));
const started = Math.floor(Date.now() / 1000);
const chain = makeChain({
	seed: option("seed", "kleroterion"), period, id: "klero-test",
	genesis: Number(option("genesis", String(started - 1000 * period))),
});
const stranger = makeChain({ seed: "somebody else", period, genesis: chain.info.genesis_time, id: "klero-test" });
let offset = 0, truncate = false, six = false, asked = [];
const now = () => Date.now() / 1000 + offset;

// --- certificates ---

const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "ignore"] });
// an authority and a server's certificate by it
function issue(name) {
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
		"/CN=klero test " + name, "-keyout", name + ".key", "-out", name + ".pem");
	openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=relay.test",
		"-addext", "subjectAltName=IP:127.0.0.1,DNS:relay.test,DNS:nist.test", "-keyout", name + "-server.key", "-out",
		name + "-server.csr");
	openssl("x509", "-req", "-in", name + "-server.csr", "-CA", name + ".pem", "-CAkey", name + ".key", "-CAcreateserial",
		"-days", "2", "-copy_extensions", "copy", "-out", name + "-server.pem");
	return { key: readFileSync(join(folder, name + "-server.key")), cert: readFileSync(join(folder, name + "-server.pem")) };
}
const own = issue("ca");
// a beacon's key and the name of its certificate, NAME.pem
function beaconKey(name, bits) {
	openssl("req", "-x509", "-newkey", "rsa:" + bits, "-nodes", "-days", "2", "-subj", "/CN=klero test beacon", "-keyout",
		name + ".key", "-out", name + ".pem");
	const { raw } = new X509Certificate(readFileSync(join(folder, name + ".pem")));
	return [createPrivateKey(readFileSync(join(folder, name + ".key"))), createHash("sha512").update(raw).digest("hex")];
}
let foreign;

// --- what is served ---

const newest = () => Math.max(1, Math.floor((now() - chain.info.genesis_time) / period) + 1);

function round(number, signature) {
	const bytes = Buffer.from(signature, "hex");
	return { round: number, randomness: createHash("sha256").update(bytes).digest("hex"), signature };
}
const honest = (number) => round(number, hex(chain.sign(number).toBytes(true)));

function json(res, value, status = 200) {
	const body = Buffer.from(JSON.stringify(value));
	res.writeHead(status, { "Content-Type": "application/json", "Content-Length": body.length });
	res.end(body);
}

// The number that is asked for by the path, limited to what there is; undefined: none.
function number(path, last) {
	const m = /^\/([0-9a-f]{64})\/public\/(latest|[0-9]+)$/.exec(path);
	if (m === null || m[1] !== chain.hash)
		return undefined;
	const n = m[2] === "latest" ? last : Number(m[2]);
	return n >= 1 && n <= last ? n : undefined;
}

function serveRound(res, path, answer, last = newest()) {
	const n = number(path, last);
	if (n === undefined)
		json(res, { error: "not found" }, 404);
	else
		json(res, answer(n));
}

const modes = {
	honest: (res, path) => serveRound(res, path, honest),
	"later-round": (res, path) => serveRound(res, path, (n) => honest(n + 1)),
	"other-round": (res, path) => serveRound(res, path, (n) => honest(n > 1 ? n - 1 : 2)),
	// a signature of another round under the number that was asked for
	"wrong-number": (res, path) => serveRound(res, path, (n) => ({ ...honest(n > 1 ? n - 1 : 2), round: n })),
	"other-chain": (res, path) => serveRound(res, path, (n) => round(n, hex(stranger.sign(n).toBytes(true)))),
	short: (res, path) => serveRound(res, path, (n) => round(n, honest(n).signature.slice(2))),
	stale: (res, path) => serveRound(res, path, honest, newest() - Math.ceil(300 / period)),
	// true answers, but the newest is of five minutes ago: as to somebody whose clock is ahead
	behind: (res, path) => serveRound(res, path, honest, newest() - (path.endsWith("/latest") ? Math.ceil(300 / period) : 0)),
	// no more rounds than there were when this began
	late: (res, path, since) => serveRound(res, path, honest, since),
	slow: (res) => { // a byte a second, for ever
		res.writeHead(200, { "Content-Type": "application/json" });
		const timer = setInterval(() => res.write(" "), 1000);
		res.on("close", () => clearInterval(timer));
	},
	silent: () => {},
	hang: (res) => { // behind the head
		res.writeHead(200, { "Content-Type": "application/json", "Content-Length": 300 });
		res.flushHeaders();
	},
	close: (res) => res.destroy(),
	garbage: (res) => res.end("<html>it works!</html>"),
	empty: (res) => res.end(""),
	huge: (res) => {
		res.writeHead(200, { "Content-Type": "application/json" });
		const more = () => { while (!res.destroyed && res.write(Buffer.alloc(65536, 0x20))); };
		res.on("drain", more);
		more();
	},
	heads: (res) => {
		for (let i = 0; i < 60; i++)
			res.setHeader("X-More-" + i, "x".repeat(1000));
		res.end("{}");
	},
	redirect: (res, path) => {
		res.writeHead(302, { Location: urls.relay.find((u, i) => state.relay[i].mode === "honest") + path });
		res.end();
	},
	endless: (res, path) => { // to itself
		res.writeHead(307, { Location: path + "?again" });
		res.end();
	},
	error: (res) => json(res, { error: "later" }, 503),
	missing: (res) => json(res, { error: "not found" }, 404),
	foreign: (res, path) => serveRound(res, path, honest),
};
for (const [name, forge] of Object.entries(forgeries))
	modes[name] = (res, path) => serveRound(res, path, (n) => round(n, forge(chain, n)));

// --- NIST's beacon: pulses in a row, each with the one before in it ---

const pulses = [];
let nistKey, nistId, otherKey, otherId; // by the pinned certificate, and by another one
const zeroes = "0".repeat(128);
const CHAIN = 7, PERIOD_MS = 2000;
const first = started * 1000 - 60000;

function long(text, encoding) {
	const bytes = Buffer.from(text, encoding), head = Buffer.alloc(4);
	head.writeUInt32BE(bytes.length);
	return Buffer.concat([head, bytes]);
}
function number32(n) {
	const b = Buffer.alloc(4);
	b.writeUInt32BE(n);
	return b;
}
function number64(n) {
	const b = Buffer.alloc(8);
	b.writeBigUInt64BE(BigInt(n));
	return b;
}
const signedPart = (p) => Buffer.concat([
	long(p.uri), long(p.version), number32(p.cipherSuite), number32(p.period), long(p.certificateId, "hex"),
	number64(p.chainIndex), number64(p.pulseIndex), long(p.timeStamp), long(p.localRandomValue, "hex"),
	long(p.external.sourceId, "hex"), number32(p.external.statusCode), long(p.external.value, "hex"),
	...p.listValues.map((v) => long(v.value, "hex")), long(p.precommitmentValue, "hex"), number32(p.statusCode)]);
const output = (p) => createHash("sha512").update(signedPart(p)).update(Buffer.from(p.signatureValue, "hex")).digest("hex");

function sign(pulse, key) {
	const p = { ...pulse, signatureValue: rsaSign("sha512", signedPart(pulse), key).toString("hex").toUpperCase() };
	return { ...p, outputValue: output(p).toUpperCase() };
}

function nextPulse() {
	const index = pulses.length + 1;
	const previous = index > 1 ? pulses[index - 2].outputValue : zeroes;
	const p = {
		uri: `https://beacon.test/beacon/2.0/chain/${CHAIN}/pulse/${index}`, version: "2.0", cipherSuite: 0,
		period: PERIOD_MS, certificateId: nistId, chainIndex: CHAIN, pulseIndex: index,
		timeStamp: new Date(first + index * PERIOD_MS).toISOString(),
		localRandomValue: createHash("sha512").update("pulse " + index).digest("hex").toUpperCase(),
		external: { sourceId: zeroes, statusCode: 0, value: zeroes },
		listValues: ["previous", "hour", "day", "month", "year"].map((type) =>
			({ uri: null, type, value: type === "previous" ? previous : zeroes })),
		precommitmentValue: zeroes, statusCode: 0,
	};
	pulses.push(sign(p, nistKey));
}
function pulse(index) {
	if (index < 1 || first + index * PERIOD_MS > now() * 1000)
		return undefined;
	while (pulses.length < index)
		nextPulse();
	return pulses[index - 1];
}
const indexAfter = (ms) => Math.max(1, Math.floor((ms - first) / PERIOD_MS) + 1);
function servePulse(res, path, { after = (i) => i, change = (p) => p } = {}) {
	let m = /^\/pulse\/time\/next\/([0-9]+)$/.exec(path), found;
	if (m !== null)
		found = pulse(after(indexAfter(Number(m[1]))));
	else if ((m = /^\/chain\/([0-9]+)\/pulse\/([0-9]+)$/.exec(path)) !== null && Number(m[1]) === CHAIN)
		found = pulse(Number(m[2]));
	if (found === undefined)
		json(res, { message: "not found" }, 404);
	else
		json(res, { pulse: change(found) });
}
const nistModes = {
	honest: (res, path) => servePulse(res, path),
	skip: (res, path) => servePulse(res, path, { after: (i) => i + 1 }),
	early: (res, path) => servePulse(res, path, { after: (i) => i - 1 }),
	"other-chain": (res, path) => servePulse(res, path, { change: (p) => sign({ ...p, chainIndex: CHAIN + 1 }, nistKey) }),
	"wrong-signature": (res, path) => servePulse(res, path, { change: (p) => {
		const q = { ...p, localRandomValue: zeroes };
		return { ...q, outputValue: output(q) };
	} }),
	"wrong-output": (res, path) => servePulse(res, path, { change: (p) => ({ ...p, outputValue: zeroes }) }),
	"wrong-certificate": (res, path) => servePulse(res, path, { change: (p) => sign({ ...p, certificateId: otherId }, otherKey) }),
	// its predecessors are not to be had
	alone: (res, path) => (path.startsWith("/chain/") ? json(res, { message: "not found" }, 404) : servePulse(res, path)),
	garbage: modes.garbage, huge: modes.huge, missing: modes.missing, error: modes.error,
};
// --- servers ---

const sixPort = option("six", null);
const state = { relay: [], nist: [] }, urls = { relay: [], nist: [] }, servers = { relay: [], nist: [] };

function serve(kind, all, prefix) {
	const i = state[kind].length;
	state[kind].push({ mode: "honest" });
	const server = createServer({ ...own, minVersion: "TLSv1.2" }, (req, res) => {
		asked.push(`${kind} ${i} ${req.url}`);
		const { mode, only, since } = state[kind][i];
		const now = only === "rounds" && req.url.endsWith("/latest") ? "honest" : mode;
		all[now](res, req.url.slice(prefix.length), since);
	});
	servers[kind].push(server);
	return new Promise((done, failed) => server.listen(0, "127.0.0.1", () => {
		const { port } = server.address();
		urls[kind].push(`https://127.0.0.1:${port}${prefix}`);
		if (sixPort === null)
			done();
		else
			createTcp((c) => server.emit("connection", c)).once("error", failed).listen(port, "::1", done);
	}));
}

// Questions for A of a name below .test: 127.0.0.1; or for AAAA: ::1. Everything else has no answer.
function answer(query, byTcp) {
	let at = 12;
	const labels = [];
	while (query[at] !== 0) {
		labels.push(query.subarray(at + 1, at + 1 + query[at]).toString().toLowerCase());
		at += 1 + query[at];
	}
	const question = query.subarray(12, at + 5), type = query.readUInt16BE(at + 1);
	const known = labels.at(-1) === "test" && type === (six ? 28 : 1), cut = truncate && !byTcp;
	const head = Buffer.alloc(12);
	query.copy(head, 0, 0, 2);
	head.writeUInt16BE(0x8180 | (cut ? 0x0200 : 0) | (labels.at(-1) === "test" ? 0 : 3), 2);
	head.writeUInt16BE(1, 4);
	head.writeUInt16BE(known && !cut ? 1 : 0, 6);
	const address = six ? [...new Array(15).fill(0), 1] : [127, 0, 0, 1];
	const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 1, 0, address.length, ...address]);
	return Buffer.concat(known && !cut ? [head, question, record] : [head, question]);
}
function dns(host, at, servers = []) {
	const udp = createSocket(host === "::1" ? "udp6" : "udp4"), tcp = createTcp((c) => {
		c.on("error", () => {});
		c.once("data", (d) => {
			const a = answer(d.subarray(2), true), head = Buffer.alloc(2);
			head.writeUInt16BE(a.length);
			c.end(Buffer.concat([head, a]));
		});
	});
	servers.push(udp, tcp);
	udp.on("message", (m, from) => udp.send(answer(m, false), from.port, from.address));
	return new Promise((done, failed) => {
		udp.once("error", failed);
		tcp.once("error", failed);
		tcp.listen(at, host, () => udp.bind(tcp.address().port, host, () => done(tcp.address().port)));
	});
}

const relays = Number(option("relays", "1")), nists = Number(option("nist", "0"));
writeFileSync(join(folder, "chain.json"), JSON.stringify(chain.info) + "\n");
if (nists > 0) {
	[nistKey, nistId] = beaconKey("nist", "4096");
	[otherKey, otherId] = beaconKey("other", "2048");
}
for (let i = 0; i < relays; i++)
	await serve("relay", modes, "");
for (let i = 0; i < nists; i++)
	await serve("nist", nistModes, "/beacon/2.0");
const port = await dns("127.0.0.1", 0);
console.log(JSON.stringify({
	chain: join(folder, "chain.json"), hash: chain.hash, period, genesis: chain.info.genesis_time, ca: join(folder, "ca.pem"),
	relays: urls.relay, nist: urls.nist, nist_certificate: nists > 0 ? join(folder, "nist.pem") : null, nist_chain: CHAIN,
	nist_first: first, nist_period: PERIOD_MS,
	dns: `127.0.0.1:${port}`,
}));

const dnsSix = [];
async function command(c) {
	const kind = "relay" in c ? "relay" : "nist" in c ? "nist" : null;
	if (kind !== null) {
		if (!(c.mode in (kind === "relay" ? modes : nistModes)))
			throw new Error("no such mode: " + c.mode);
		if (c.mode === "foreign")
			foreign ??= issue("foreign");
		servers[kind][c[kind]].setSecureContext(c.mode === "foreign" ? foreign : own);
		state[kind][c[kind]] = { mode: c.mode, only: c.only, since: newest() };
	}
	offset = c.offset ?? offset;
	truncate = c.truncate ?? truncate;
	if (c.six)
		await dns("::1", Number(sixPort), dnsSix);
	else if (c.six === false)
		await Promise.all(dnsSix.splice(0).map((server) => new Promise((done) => server.close(done))));
	six = c.six ?? six;
	if (!c.asked)
		return {};
	const before = asked;
	asked = [];
	return { asked: before };
}
createInterface({ input: process.stdin })
	.on("line", async (line) => console.log(JSON.stringify(await command(JSON.parse(line)))))
	.on("close", () => process.exit(0));
