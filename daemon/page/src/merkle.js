// Merkle trees of RFC 6962: hashes, roots of whole lists, proofs of inclusion (RFC 9162 section 2.1.3.2).

import { equal } from "./bytes.js";
import { sha256 } from "./crypt.js";

const LEAF = new Uint8Array([0]), NODE = new Uint8Array([1]);

export const leafHash = (bytes) => sha256(LEAF, bytes);
export const nodeHash = (left, right) => sha256(NODE, left, right);

/** The root over a list of leaf hashes. */
export async function rootOf(leaves) {
	if (leaves.length === 0)
		return sha256();
	let level = leaves;
	while (level.length > 1) {
		const next = [];
		for (let i = 0; i + 1 < level.length; i += 2)
			next.push(nodeHash(level[i], level[i + 1]));
		// an odd one goes up as it is
		if (level.length % 2 === 1)
			next.push(level[level.length - 1]);
		level = await Promise.all(next);
	}
	return level[0];
}

/** Does the path lead from the leaf at this index to the root of a tree of that size? */
export async function inTree(leaf, index, size, path, root) {
	if (index >= size)
		return false;
	let fn = index, sn = size - 1n, hash = leaf;
	for (const p of path) {
		if (sn === 0n)
			return false;
		if ((fn & 1n) === 1n || fn === sn) {
			hash = await nodeHash(p, hash);
			while ((fn & 1n) === 0n && fn !== 0n) {
				fn >>= 1n;
				sn >>= 1n;
			}
		} else {
			hash = await nodeHash(hash, p);
		}
		fn >>= 1n;
		sn >>= 1n;
	}
	return sn === 0n && equal(hash, root);
}
