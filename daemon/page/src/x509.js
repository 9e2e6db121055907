// As much of X.509 as a pulse needs: the DER in a PEM text, and the key in the DER. Whose certificate it
// is, is not asked: a pulse names it by its hash, and the reader pins that.

import { unbase64 } from "./bytes.js";
import { SEQUENCE, context, element, inside } from "./der.js";

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\x00-\x20]*)-----END CERTIFICATE-----/;
const PEM_MAX = 16384;

/** The DER of the first certificate in the text, null when there is none. */
export function pemCertificate(pem) {
	const m = pem.length <= PEM_MAX ? PEM.exec(pem) : null;
	const der = m && unbase64(m[1].replace(/[\x00-\x20]/g, ""));
	const outer = der && element(der, 0);
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
