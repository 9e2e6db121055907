// Hashes, MACs and signatures: the browser's own (WebCrypto) where it has them, @noble/curves for the
// rest. Nothing here is secret.

import { ed25519 } from "@noble/curves/ed25519";
import { p256 } from "@noble/curves/nist";
import { concat, u32, utf8 } from "./bytes.js";

const subtle = globalThis.crypto?.subtle;

const digest = async (name, bytes) => new Uint8Array(await subtle.digest(name, bytes));
export const sha256 = (...parts) => digest("SHA-256", concat(...parts));
export const sha512 = (...parts) => digest("SHA-512", concat(...parts));

/** A function of HMAC-SHA-256 under one key. */
export async function hmacBy(key) {
	const handle = await subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
	return async (...parts) => new Uint8Array(await subtle.sign("HMAC", handle, concat(...parts)));
}

/** DRAW.md section 1, SP 800-108r1 in counter mode: a function of label and context under one key. */
export async function kdfBy(key) {
	const hmac = await hmacBy(key);
	return (label, context) => hmac(u32(1), utf8(label), new Uint8Array(1), context, u32(256));
}

/** May WebCrypto be used at all? Browsers have it for https and for files, not for plain http. */
export const hasCrypto = () => subtle !== undefined;

let ownEd25519;
/** Does the browser know Ed25519? Asked once. */
async function hasEd25519(pub) {
	ownEd25519 ??= subtle.importKey("raw", pub, "Ed25519", false, ["verify"]).then(() => true, () => false);
	return ownEd25519;
}

/** A point in its one encoding, and not of small order: for such "keys" anybody can sign anything. */
function goodPoint(bytes) {
	try {
		return !ed25519.Point.fromHex(bytes, false).isSmallOrder();
	} catch {
		return false;
	}
}

export async function ed25519Verify(pub, sig, msg) {
	if (sig.length !== 64 || !goodPoint(pub) || !goodPoint(sig.subarray(0, 32)))
		return false;
	if (!await hasEd25519(pub))
		return ed25519.verify(sig, msg, pub, { zip215: false });
	const key = await subtle.importKey("raw", pub, "Ed25519", false, ["verify"]);
	return subtle.verify("Ed25519", key, sig, msg);
}

/** Is it a point of P-256, as 04 ‖ X ‖ Y? */
export function p256Point(pub) {
	try {
		p256.Point.fromHex(pub).assertValidity();
		return true;
	} catch {
		return false;
	}
}

/** ECDSA over P-256 with SHA-256, the signature in DER. */
export async function p256Verify(pub, der, msg) {
	let sig;
	try {
		sig = p256.Signature.fromDER(der).toCompactRawBytes();
	} catch {
		return false;
	}
	const key = await subtle.importKey("raw", pub, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
	return subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, sig, msg);
}

/** PKCS#1 v1.5 with SHA-512 under a SubjectPublicKeyInfo. */
export async function rsaVerify(spki, sig, msg) {
	const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" };
	try {
		return await subtle.verify(algorithm, await subtle.importKey("spki", spki, algorithm, false, ["verify"]), sig, msg);
	} catch {
		return false;
	}
}
