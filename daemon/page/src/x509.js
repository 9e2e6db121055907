// As much of X.509 as a pulse needs: the DER in a PEM text, and the key in the DER. Whose certificate it
// is, is not asked: a pulse names it by its hash, and the reader pins that.

import { unbase64 } from "./bytes.js";
import { SEQUENCE, context, element, inside } from "./der.js";

const BEGIN = "-----BEGIN CERTIFICATE-----", END = "-----END CERTIFICATE-----";
const LINE = /^[A-Za-z0-9+/=\t\r ]+$/;
const PEM_MAX = 16384;

/** The DER of the first certificate in the text, null when there is none. */
export function pemCertificate(pem) {
	const lines = pem.split("\n").map((l) => l.replace(/[\x00-\x20]+$/, ""));
	const from = lines.indexOf(BEGIN), to = lines.indexOf(END, from), body = lines.slice(from + 1, to);
	// no headers, but the empty line that would end them
	if (body[0] === "")
		body.shift();
	const good = pem.length <= PEM_MAX && from >= 0 && to >= 0 && body.every((l) => LINE.test(l));
	const der = good ? unbase64(body.join("").replace(/[\t\r ]/g, "")) : null, outer = der && element(der, 0);
	return outer ? der.subarray(0, outer.end) : null;
}

/** The SubjectPublicKeyInfo of a certificate. */
export function certificateKey(der) {
	const body = inside(der, element(der, 0), SEQUENCE)?.[0], parts = inside(der, body, SEQUENCE);
	if (!parts)
		return null;
	// [version] serial, algorithm, issuer, validity, subject, key
	const key = parts[parts[0]?.tag === context(0) ? 6 : 5];
	return key?.tag === SEQUENCE ? der.subarray(key.at, key.end) : null;
}
