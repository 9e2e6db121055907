// drand's rounds (DRAW.md section 7): chains and their hashes, rounds in time, and the signature, by the
// pairings of @noble/curves. Only the unchained scheme with signatures in G1.

import { bls12_381 as bls } from "@noble/curves/bls12-381";
import { equal, u32, u64, unhex, utf8 } from "./bytes.js";
import { sha256 } from "./crypt.js";
import { integer } from "./json.js";

const SCHEME = "bls-unchained-g1-rfc9380";
const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
const INFO_MAX = 4096, TOKENS_MAX = 64, ID_MAX = 64, TIME_END = 1n << 63n;

// The League of Entropy's chain, pinned: no relay has to be believed.
export const quicknet = {
	publicKey: unhex("83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
		+ "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"),
	groupHash: unhex("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"),
	period: 3n,
	genesis: 1692803367n,
	id: "quicknet",
};

const string = (node, max) => (node?.type === "string" && utf8(node.value).length <= max ? node.value : null);
const bytes = (node, n) => (node?.type === "string" && node.plain ? unhex(node.value, n) : null);
const positive = (node, max) => {
	const v = node === undefined ? null : integer(node);
	return v !== null && v >= 1n && v <= max ? v : null;
};

/** The name of a chain: the hash over its facts. */
export const chainHash = (c) =>
	sha256(u32(c.period), u64(c.genesis), c.publicKey, c.groupHash, utf8(c.id === "default" ? "" : c.id));

/** A chain from what a relay says of it at /info; null for one that cannot be used. */
export async function parseChain(node) {
	if (node.type !== "object" || node.end - node.start > INFO_MAX || node.tokens > TOKENS_MAX)
		return null;
	const m = node.members, meta = m.get("metadata");
	const chain = {
		publicKey: bytes(m.get("public_key"), 96), groupHash: bytes(m.get("groupHash"), 32),
		period: positive(m.get("period"), 0xffffffffn), genesis: positive(m.get("genesis_time"), TIME_END - 1n),
		id: meta?.type === "object" ? string(meta.members.get("beaconID"), ID_MAX) : null,
	};
	const hash = bytes(m.get("hash"), 32);
	if (Object.values(chain).includes(null) || hash === null || string(m.get("schemeID"), ID_MAX) !== SCHEME)
		return null;
	return equal(hash, await chainHash(chain)) ? chain : null;
}

/** Unix seconds of a round, null beyond what 63 bits hold. */
export function roundTime(chain, round) {
	const at = chain.genesis + (round - 1n) * chain.period;
	return at < TIME_END ? at : null;
}

/**
 * Is it the chain's signature for the round? Point by point: 48 bytes in compressed form, on the curve, not
 * infinity and, or an operator could choose among several that all pass, in the subgroup and in its one
 * encoding (@noble/curves 1.9 takes an x of p and more, too).
 */
export async function verifyRound(chain, round, signature) {
	const message = await sha256(u64(round));
	try {
		const key = bls.G2.Point.fromHex(chain.publicKey), point = bls.G1.Point.fromHex(signature);
		key.assertValidity();
		point.assertValidity();
		return signature.length === 48 && equal(point.toBytes(), signature) && !point.is0() && !key.is0()
			&& bls.shortSignatures.verify(point, bls.shortSignatures.hash(message, DST), key);
	} catch {
		return false;
	}
}

