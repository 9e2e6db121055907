// Checks a buyer's receipt (DRAW.md section 5): the proof that his ticket is in the ticket log, and what the
// ticket says of him.

import { equal, unbase64, unhex, utf8 } from "./bytes.js";
import { Refused, demand } from "./bundle.js";
import { LEAF, clientSeedHash, holderCommit, parseLeaf } from "./leaf.js";
import { leafHash } from "./merkle.js";
import { keyNamed, logKeyOf, parseLogKey } from "./note.js";
import { checkProof, parseProof } from "./tlog.js";

const SALT = 32, TEXT_MAX = 65535;
const STATES = {
	none: "the receipt is not signed by that key",
	format: "the receipt is of another log than the key",
	wrong: "the signature is wrong: the receipt was altered",
	path: "the ticket is not in the log: it or its receipt was altered",
};

function readLeaf(text) {
	const bytes = unhex(text, LEAF) ?? unbase64(text);
	const leaf = bytes && parseLeaf(bytes);
	demand(leaf, "the ticket is not 116 bytes of a ticket leaf, in hex or base64");
	return { bytes, leaf };
}

/** What the proven draw has to say of this ticket. */
function fate(r, draw) {
	if (!draw?.held || draw.version !== 2 || !equal(draw.c.open.raffle, r.leaf.raffle) || draw.c.open.origin !== r.key.name)
		return null;
	const { tickets, winners, draw: record, passed, standing } = draw.c;
	if (record === null)
		return { place: "aborted" };
	demand(r.checkpoint.size < tickets.size || (r.checkpoint.size === tickets.size && equal(r.checkpoint.root, tickets.root)),
		"the receipt's log is not the one that was drawn from: keep both files, they are evidence");
	const at = winners.findIndex((w) => w.index === r.leaf.index);
	if (at < 0)
		return { place: passed.some((p) => p.index === r.leaf.index) ? "passed" : "none" };
	demand(equal(winners[at].bytes, r.bytes), "the draw has another ticket at this index: keep both files, they are evidence");
	const prize = standing.indexOf(at), n = record.winners.length;
	if (at >= n)
		return prize < 0 ? { place: "reserve", pos: at - n + 1 } : { place: "moved", pos: at - n + 1, prize: prize + 1 };
	return { place: prize < 0 ? "lost" : "winner", pos: at + 1 };
}

async function mine(r, { holder, seed }) {
	const said = {};
	if (holder !== "") {
		demand(r.proof.extra.length === SALT, "the receipt has no salt, so a buyer cannot be recognised in it");
		said.holder = equal(await holderCommit(r.proof.extra, holder), r.leaf.holder);
		demand(said.holder, "the ticket is not of that buyer");
	}
	if (seed !== "") {
		said.seed = equal(await clientSeedHash(utf8(seed)), r.leaf.seed);
		demand(said.seed, "the ticket was not bought with that client seed");
	}
	return said;
}

/** The key of the receipt's ticket log: of the operator's key, the same one under the log's own name. */
async function ticketsKey(text, note) {
	const given = await parseLogKey(text);
	demand(given !== null, "the key is not a verifier key: name+hex+base64");
	const operator = await logKeyOf(given), origin = note.slice(0, note.indexOf("\n"));
	return origin.startsWith(`${operator.name}/r/`) ? keyNamed(operator, origin) : given;
}

/**
 * texts: {proof, leaf, key, holder, seed}; draw: a result of check() of the same raffle, or null. Returns
 * {ok, why, leaf, checkpoint, fate, said}; fate is null when the draw says nothing of this raffle.
 */
export async function checkReceipt(texts, draw) {
	const r = {};
	try {
		const holder = texts.holder ?? "", seed = texts.seed ?? "";
		demand(utf8(holder).length <= TEXT_MAX && utf8(seed).length <= TEXT_MAX, "that is too long");
		r.proof = parseProof(texts.proof);
		demand(r.proof !== null, "the receipt is not a tlog-proof");
		Object.assign(r, readLeaf(texts.leaf.trim()));
		r.key = await ticketsKey(texts.key.trim(), r.proof.note);
		demand(r.proof.index === r.leaf.index, "the receipt is of another ticket");
		const { state, checkpoint } = await checkProof(r.proof, await leafHash(r.bytes), r.key);
		demand(state === "ok", STATES[state]);
		r.checkpoint = checkpoint;
		return { ok: true, why: null, said: await mine(r, { holder, seed }), fate: fate(r, draw), leaf: r.leaf, checkpoint };
	} catch (e) {
		return { ok: false, why: e instanceof Refused ? e.message : `this page failed: ${String(e?.message ?? e)}` };
	}
}
