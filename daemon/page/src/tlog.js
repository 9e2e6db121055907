// Checkpoints, cosignatures and proofs of transparency logs: c2sp.org/tlog-checkpoint, tlog-cosignature,
// tlog-proof@v1.

import { concat, decimal, unbase64, unuint, utf8 } from "./bytes.js";
import { ed25519Verify } from "./crypt.js";
import { inTree } from "./merkle.js";
import { byKey, openNote, splitNote } from "./note.js";

const PATH_MAX = 64, EXTRA_MAX = 256, COSIGNATURE = 72;
export const PROOF_HEAD = "c2sp.org/tlog-proof@v1";
/** A log's origin: visible ASCII without a plus. */
export const ORIGIN = "[!-*,-~]{1,255}";
const CHECKPOINT = new RegExp(`^(${ORIGIN})\\n([0-9]+)\\n([A-Za-z0-9+/=]+)\\n$`);

function hash(text) {
	const bytes = unbase64(text);
	return bytes?.length === 32 ? bytes : null;
}

/** {origin, size, root}, null for anything else; extension lines are not ours. */
function parseCheckpoint(text) {
	const m = CHECKPOINT.exec(text);
	const size = m && decimal(m[2]), root = m && hash(m[3]);
	return m && size !== null && root !== null ? { origin: m[1], size, root } : null;
}

/** A signed checkpoint of that log: {state, checkpoint}; state as openNote()'s. */
export async function openCheckpoint(note, log) {
	const { state, text } = await openNote(note, log);
	if (state !== "ok")
		return { state };
	const checkpoint = parseCheckpoint(text);
	return checkpoint?.origin === log.name ? { state, checkpoint } : { state: "format" };
}

/** One witness's cosignature line: its time in seconds, null when it is wrong. */
async function cosignedAt(line, witness, text) {
	const time = unuint(line.sig.subarray(0, 8));
	if (line.sig.length !== COSIGNATURE || time >= 1n << 63n)
		return null;
	const msg = concat(utf8(`cosignature/v1\ntime ${time}\n`), utf8(text));
	return await ed25519Verify(witness.pub, line.sig.subarray(8), msg) ? time : null;
}

/**
 * When the witness first cosigned the note: a BigInt of seconds, null when it did not, false when a
 * cosignature of its is wrong or the note is none.
 */
export async function cosigned(note, witness) {
	const parts = splitNote(note);
	if (parts === null)
		return false;
	const times = await Promise.all(byKey(parts, witness).map((l) => cosignedAt(l, witness, parts.text)));
	if (times.includes(null))
		return false;
	return times.length > 0 ? times.reduce((a, b) => (b < a ? b : a)) : null;
}

/** {extra, index, path, note} of a tlog-proof, null for anything else. */
export function parseProof(text) {
	const blank = text.indexOf("\n\n");
	if (blank < 0)
		return null;
	const lines = text.slice(0, blank).split("\n");
	if (lines.shift() !== PROOF_HEAD)
		return null;
	const said = lines[0]?.startsWith("extra ") ? lines.shift().slice(6) : null;
	const extra = said === null ? new Uint8Array() : unbase64(said);
	const m = /^index (.*)$/.exec(lines.shift() ?? "");
	const index = m && decimal(m[1]), path = lines.map(hash);
	if (said === "" || extra === null || extra.length > EXTRA_MAX || index === null || path.includes(null) || path.length > PATH_MAX)
		return null;
	return { extra, index, path, note: text.slice(blank + 2) };
}

/** Does it prove the leaf to be in that log? {state, checkpoint}; state also "path" when it does not. */
export async function checkProof(proof, leaf, log) {
	const { state, checkpoint } = await openCheckpoint(proof.note, log);
	if (state !== "ok")
		return { state };
	const there = await inTree(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root);
	return { state: there ? "ok" : "path", checkpoint };
}
