// The ticket leaf (DRAW.md section 4): 116 bytes, and what a buyer can find of himself in it.

import { concat, equal, label, u16, unuint, utf8 } from "./bytes.js";
import { sha256 } from "./crypt.js";

export const LEAF = 116;
const MAGIC = utf8("KLT2");

/** {raffle, index, issued, ticket, holder, seed} (issued in Unix milliseconds), null for no leaf. */
export function parseLeaf(bytes) {
	if (bytes.length !== LEAF || !equal(bytes.subarray(0, 4), MAGIC))
		return null;
	return {
		raffle: bytes.subarray(4, 20), index: unuint(bytes.subarray(20, 28)), issued: unuint(bytes.subarray(28, 36)),
		ticket: bytes.subarray(36, 52), holder: bytes.subarray(52, 84), seed: bytes.subarray(84, 116),
	};
}

export const holderCommit = (salt, holder) =>
	sha256(label("kleroterion/v2/holder"), salt, u16(utf8(holder).length), utf8(holder));

export const clientSeedHash = (seed) => sha256(label("kleroterion/v2/client-seed"), u16(seed.length), concat(seed));
