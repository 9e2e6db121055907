// Who wins (DRAW.md section 8): the context, the stream of words, the unbiased sampler and the shuffle.

import { concat, label, u16, u64, unuint } from "./bytes.js";
import { kdfBy, sha256 } from "./crypt.js";

export const SEED_COMMIT = "kleroterion/v2/seed-commit", DRAW_KEY = "kleroterion/v2/draw-key";
const STREAM = "kleroterion/v2/stream";
const WORD_END = 1n << 64n, BLOCKS_AT_ONCE = 64;

/** What a beacon gives to the context. */
async function contribution(b) {
	if (b.kind === "drand")
		return concat([1], b.chainHash, u64(b.round), await sha256(b.signature));
	return concat([2], u64(b.chain), u64(b.pulse), b.output);
}

export async function contextOf(raffle, openLeaf, tickets, root, beacons) {
	const given = await Promise.all(beacons.map(contribution));
	return sha256(label("kleroterion/v2/context"), raffle, openLeaf, u64(tickets), root, u16(beacons.length), ...given);
}

/** The u64 words under a draw key, block after block. */
async function* words(key) {
	const kdf = await kdfBy(key);
	for (let b = 0; ; b += BLOCKS_AT_ONCE) {
		const blocks = Array.from({ length: BLOCKS_AT_ONCE }, (_, i) => kdf(STREAM, u64(b + i)));
		for (const block of await Promise.all(blocks))
			for (let i = 0; i < 32; i += 8)
				yield unuint(block.subarray(i, i + 8));
	}
}

/**
 * The first k places of the shuffle of 0 … n − 1: {index, word, skipped} each: the ticket, the word that
 * chose it, and how many words were thrown away before because they would have favoured some tickets.
 */
export async function shuffle(key, n, k) {
	const perm = new Map(), out = [], stream = words(key);
	const at = (i) => perm.get(i) ?? i;
	for (let i = 0n; out.length < k; i++) {
		const m = n - i, bound = WORD_END - (WORD_END % m);
		let word = (await stream.next()).value, skipped = 0;
		for (; word >= bound; skipped++)
			word = (await stream.next()).value;
		const j = i + (word % m), index = at(j);
		perm.set(j, at(i));
		out.push({ index, word, skipped });
	}
	return out;
}
