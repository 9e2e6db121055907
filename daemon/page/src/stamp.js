// As much of RFC 3161 as says what a time stamp is over: the TSTInfo inside the signed data (RFC 5652). Signatures
// are not looked at.

import { equal, hex, utf8 } from "./bytes.js";
import { INTEGER, OBJECT, OCTETS, SEQUENCE, TIME, contents, context, element, inside } from "./der.js";

const SIGNED_DATA = "2a864886f70d010702", TST_INFO = "2a864886f70d0109100104";
// only digests without known collisions
const DIGESTS = { "608648016503040201": "SHA-256", "608648016503040202": "SHA-384", "608648016503040203": "SHA-512" };

const oid = (der, e) => (e?.tag === OBJECT ? hex(contents(der, e)) : null);

/** The TSTInfo of a token, null for anything else. */
function tstInfo(der) {
	const outer = element(der, 0), token = outer?.end === der.length ? inside(der, outer, SEQUENCE) : null;
	if (oid(der, token?.[0]) !== SIGNED_DATA)
		return null;
	const data = inside(der, inside(der, token[1], context(0))?.[0], SEQUENCE);
	const wrapped = inside(der, data?.[2], SEQUENCE);
	if (oid(der, wrapped?.[0]) !== TST_INFO)
		return null;
	const octets = inside(der, wrapped[1], context(0))?.[0];
	return octets?.tag === OCTETS ? contents(der, octets) : null;
}

/** Unix seconds of a GeneralizedTime, null for none. */
function seconds(der, e) {
	const m = e?.tag === TIME && /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?Z$/.exec(String.fromCharCode(...contents(der, e)));
	const at = m ? Date.UTC(+m[1], m[2] - 1, +m[3], +m[4], +m[5], +m[6]) / 1000 : 0;
	return at > 0 ? BigInt(at) : null;
}

/** {at, over}: when, and whether it is over that text; null when the bytes are no time stamp of a known kind. */
export async function stampTime(token, text) {
	const der = tstInfo(token), parts = der && inside(der, element(der, 0), SEQUENCE);
	// version, policy, imprint {{algorithm}, digest}, serial, time
	const imprint = parts && inside(der, parts[2], SEQUENCE), digest = DIGESTS[oid(der, imprint && inside(der, imprint[0], SEQUENCE)?.[0])];
	const at = parts && seconds(der, parts[4]);
	if (!at || digest === undefined || parts[0]?.tag !== INTEGER || imprint[1]?.tag !== OCTETS)
		return null;
	const hash = new Uint8Array(await crypto.subtle.digest(digest, utf8(text)));
	return { at, over: hex(contents(der, parts[0])) === "01" && equal(hash, contents(der, imprint[1])) };
}
