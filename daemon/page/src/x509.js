// As much of X.509 as a pulse needs: the DER in a PEM text, and the key in the DER. Whose certificate it
// is, is not asked: a pulse names it by its hash, and the reader pins that.

import { unbase64 } from "./bytes.js";

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\x00-\x20]*)-----END CERTIFICATE-----/;
const PEM_MAX = 16384;
const SEQUENCE = 0x30, VERSION = 0xa0;

/** {tag, from, end}: the value at `at` and where its contents stand; null when it does not fit. */
function element(der, at, limit) {
	const first = der[at + 1], many = first & 0x7f;
	if (at + 2 > limit || (first >= 0x80 && (many === 0 || many > 3)))
		return null;
	const from = at + 2 + (first < 0x80 ? 0 : many);
	let n = first < 0x80 ? first : 0;
	for (let i = at + 2; i < from; i++)
		n = n * 256 + der[i];
	return from + n <= limit ? { tag: der[at], at, from, end: from + n } : null;
}

/** The elements inside one. */
function inside(der, outer) {
	const list = [];
	for (let at = outer.from; at < outer.end; at = list.at(-1).end) {
		const e = element(der, at, outer.end);
		if (e === null)
			return null;
		list.push(e);
	}
	return list;
}

/** The DER of the first certificate in the text, null when there is none. */
export function pemCertificate(pem) {
	const m = pem.length <= PEM_MAX ? PEM.exec(pem) : null;
	const der = m && unbase64(m[1].replace(/[\x00-\x20]/g, ""));
	const outer = der && element(der, 0, der.length);
	return outer ? der.subarray(0, outer.end) : null;
}

/** The SubjectPublicKeyInfo of a certificate. */
export function certificateKey(der) {
	const outer = element(der, 0, der.length);
	const body = outer?.tag === SEQUENCE ? inside(der, outer)?.[0] : null;
	const parts = body?.tag === SEQUENCE ? inside(der, body) : null;
	if (!parts)
		return null;
	// [version] serial, algorithm, issuer, validity, subject, key
	const key = parts[parts[0]?.tag === VERSION ? 6 : 5];
	return key?.tag === SEQUENCE ? der.subarray(key.at, key.end) : null;
}
