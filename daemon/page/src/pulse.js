// Pulses of NIST's randomness beacon 2.0 (DRAW.md section 7): read from their JSON, and checked against
// the certificate that they name.

import { concat, equal, u32, u64, utf8 } from "./bytes.js";
import { rsaVerify, sha512 } from "./crypt.js";
import { integer } from "./json.js";
import { certificateKey, pemCertificate } from "./x509.js";

const JSON_MAX = 16384, TOKENS_MAX = 128, TEXT_MAX = 256, HASH = 64, SIGNATURE_MAX = 512;
const LISTED = ["previous", "hour", "day", "month", "year"];
const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;

class Wrong extends Error {}
const demand = (holds) => {
	if (!holds)
		throw new Wrong();
};

const member = (node, name) => {
	demand(node.type === "object" && node.members.has(name));
	return node.members.get(name);
};
const string = (node, max) => {
	demand(node.type === "string" && utf8(node.value).length <= max);
	return node.value;
};
const text = (node, name) => string(member(node, name), TEXT_MAX);
const number = (node, name, max) => {
	const v = integer(member(node, name));
	demand(v !== null && v >= 0n && v <= max);
	return v;
};
const small = (node, name) => number(node, name, 0xffffffffn);
const large = (node, name) => number(node, name, (1n << 63n) - 1n);

/** Hex of either case: the beacon writes both. */
function bytes(node, name, max) {
	const s = string(member(node, name), 2 * max);
	demand(/^(?:[0-9a-fA-F]{2})*$/.test(s));
	return Uint8Array.from({ length: s.length / 2 }, (_, i) => parseInt(s.slice(2 * i, 2 * i + 2), 16));
}

function hash(node, name) {
	const b = bytes(node, name, HASH);
	demand(b.length === HASH);
	return b;
}

function listed(node) {
	const list = member(node, "listValues");
	demand(list.type === "array" && list.items.length === LISTED.length);
	return list.items.map((item, i) => {
		demand(text(item, "type") === LISTED[i]);
		return hash(item, "value");
	});
}

function milliseconds(time) {
	const at = TIME.test(time) ? Date.parse(time) : NaN;
	demand(at >= 0 && new Date(at).toISOString() === time);
	return BigInt(at);
}

function fields(p) {
	const external = member(p, "external");
	return {
		uri: text(p, "uri"), version: text(p, "version"), suite: small(p, "cipherSuite"), period: small(p, "period"),
		certificate: hash(p, "certificateId"), chain: large(p, "chainIndex"), pulse: large(p, "pulseIndex"),
		time: text(p, "timeStamp"), local: hash(p, "localRandomValue"), source: hash(external, "sourceId"),
		externalStatus: small(external, "statusCode"), external: hash(external, "value"), listed: listed(p),
		precommitment: hash(p, "precommitmentValue"), status: small(p, "statusCode"),
		signature: bytes(p, "signatureValue", SIGNATURE_MAX), output: hash(p, "outputValue"),
	};
}

/** A pulse from {"pulse": {…}} as the beacon serves it, with `at` in Unix milliseconds; null for none. */
export function parsePulse(node) {
	try {
		demand(node.type === "object" && node.end - node.start <= JSON_MAX && node.tokens <= TOKENS_MAX);
		const p = fields(member(node, "pulse"));
		demand(p.version === "2.0" && p.suite === 0n);
		return { ...p, at: milliseconds(p.time) };
	} catch (e) {
		if (!(e instanceof Wrong))
			throw e;
		return null;
	}
}

const long = (b) => concat(u32(b.length), b);

const signedBytes = (p) => concat(
	long(utf8(p.uri)), long(utf8(p.version)), u32(p.suite), u32(p.period), long(p.certificate), u64(p.chain),
	u64(p.pulse), long(utf8(p.time)), long(p.local), long(p.source), u32(p.externalStatus), long(p.external),
	...p.listed.map(long), long(p.precommitment), u32(p.status));

/** Is it signed by the certificate (PEM) that it names, and does its output follow? */
export async function verifyPulse(p, pem) {
	const der = pemCertificate(pem), key = der && certificateKey(der);
	if (!key || !equal(await sha512(der), p.certificate))
		return false;
	const signed = signedBytes(p);
	return await rsaVerify(key, p.signature, signed) && equal(await sha512(signed, p.signature), p.output);
}

/** Does b come right after a? */
export const follows = (b, a) =>
	b.chain === a.chain && b.pulse === a.pulse + 1n && equal(b.listed[0], a.output) && b.at > a.at;
