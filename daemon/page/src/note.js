// Signed notes and verifier keys (c2sp.org/signed-note): Ed25519, type 1, and ECDSA over P-256, type 2;
// witnesses' keys, type 4. A note is text, an empty line, and lines "— <name> <base64(key id, signature)>".

import { equal, hex, unbase64, unhex, utf8 } from "./bytes.js";
import { ed25519Verify, p256Point, p256Verify, sha256 } from "./crypt.js";

export const ED25519 = 1, ECDSA = 2, COSIGN = 4;
const NAME_MAX = 255, SIGNATURES_MAX = 64, ECDSA_SIGNATURE_MAX = 80;
// SubjectPublicKeyInfo of a P-256 key (RFC 5480), as far as its point
const SPKI = unhex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
// no plus, no space of Unicode, no control character
const NAME = /^[^\p{White_Space}\x00-\x1f+]+$/u;

const nameOk = (name) => NAME.test(name) && utf8(name).length <= NAME_MAX;

function publicKey(type, encoded) {
	if (type !== ECDSA)
		return encoded.length === 33 ? encoded.subarray(1) : null;
	const pub = encoded.subarray(1 + SPKI.length);
	return equal(encoded.subarray(1, 1 + SPKI.length), SPKI) && pub.length === 65 && p256Point(pub) ? pub : null;
}

/** {name, type, id, pub, text} of "<name>+<8 hex>+<base64(type, public key)>"; null for anything else. */
async function parseKey(text) {
	const m = /^([^+]+)\+([0-9a-f]{8})\+(.*)$/su.exec(text);
	const encoded = m && unbase64(m[3]);
	if (!encoded || !nameOk(m[1]) || ![ED25519, ECDSA, COSIGN].includes(encoded[0]))
		return null;
	const type = encoded[0], pub = publicKey(type, encoded);
	if (pub === null)
		return null;
	const hash = type === ECDSA ? await sha256(encoded.subarray(1)) : await sha256(utf8(m[1] + "\n"), encoded);
	const id = hash.subarray(0, 4);
	return hex(id) === m[2] ? { name: m[1], type, id, pub, text, encoded: m[3] } : null;
}

/** The same key under another name. */
export async function keyNamed(key, name) {
	const id = key.type === ECDSA ? key.id : (await sha256(utf8(name + "\n"), unbase64(key.encoded))).subarray(0, 4);
	return { ...key, name, id, text: `${name}+${hex(id)}+${key.encoded}` };
}

/** An operator's log key by any of its names, as it signs the operator log, <host>/klero, or v1's notes, <host>/klero/log. */
export const logKeyOf = (key) => (/.\/klero\/log$/su.test(key.name) ? keyNamed(key, key.name.slice(0, -"/log".length)) : key);
export const noteKeyOf = (key) => (/.\/klero$/su.test(key.name) ? keyNamed(key, `${key.name}/log`) : key);

export async function parseLogKey(text) {
	const key = await parseKey(text);
	return key?.type === COSIGN ? null : key;
}

export async function parseWitnessKey(text) {
	const key = await parseKey(text);
	return key?.type === COSIGN ? key : null;
}

export const sameKey = (a, b) => a.name === b.name && a.type === b.type && equal(a.pub, b.pub);

function parseLine(line) {
	const m = /^— ([^ ]*) (.*)$/su.exec(line);
	const bytes = m && NAME.test(m[1]) ? unbase64(m[2]) : null;
	return bytes !== null && bytes.length >= 5 ? { name: m[1], id: bytes.subarray(0, 4), sig: bytes.subarray(4) } : null;
}

/** {text, lines} of a note, null when it is none: text with its last LF, lines {name, id, sig}. */
export function splitNote(note) {
	const at = note.lastIndexOf("\n\n");
	if (at < 0 || at + 2 === note.length || !note.endsWith("\n") || /[\x00-\x09\x0b-\x1f]/.test(note))
		return null;
	const lines = note.slice(at + 2, -1).split("\n").map(parseLine);
	return lines.length > SIGNATURES_MAX || lines.includes(null) ? null : { text: note.slice(0, at + 1), lines };
}

export const byKey = (note, key) => note.lines.filter((l) => l.name === key.name && equal(l.id, key.id));

async function signedBy(key, sig, text) {
	if (key.type === ECDSA)
		return sig.length <= ECDSA_SIGNATURE_MAX && p256Verify(key.pub, sig, utf8(text));
	return ed25519Verify(key.pub, sig, utf8(text));
}

/**
 * What was signed by the key, as {state, text}: state "ok", "none" when the key has not signed, "wrong" when a
 * signature of its is wrong (one wrong one outweighs a good one), "format" when it is no note.
 */
export async function openNote(text, key) {
	const note = splitNote(text);
	if (note === null)
		return { state: "format" };
	const own = byKey(note, key);
	const good = await Promise.all(own.map((l) => signedBy(key, l.sig, note.text)));
	if (own.length === 0)
		return { state: "none" };
	return { state: good.every(Boolean) ? "ok" : "wrong", text: note.text };
}

