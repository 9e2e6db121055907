// The one way in: bytes of a proof bundle and what the reader knows already; the result says how far it
// went. A result that verifies comes from one place, behind the last step: whatever goes wrong anywhere is
// a refusal.

import { Refused, demand, formatOf, readJson } from "./bundle.js";
import { hasCrypto } from "./crypt.js";
import { LABEL1, STEPS1, tokens1 } from "./proof1.js";
import { FORMAT2, STEPS2, TOKENS2 } from "./proof2.js";

export const BUNDLE_MAX = 64 * 1024 * 1024;

export const stepNames = { 1: STEPS1.map((s) => s.name), 2: STEPS2.map((s) => s.name) };

const countTokens = (root, max) => demand(root.tokens <= max, "deeper, longer or of more values than a bundle has");

/** The document, and by which format's rules it is to be judged. */
function read(c, bytes) {
	demand(hasCrypto(), "this browser gives its cryptography only to pages over https and to saved files");
	demand(bytes.length <= BUNDLE_MAX, "the file is larger than this page reads: use klero-verify");
	const most = tokens1(bytes.length);
	c.root = readJson(bytes, Math.max(most, TOKENS2));
	c.version = formatOf(c.root) === FORMAT2 ? 2 : 1;
	countTokens(c.root, c.version === 2 ? TOKENS2 : most);
}

async function run(c, bytes, onStep) {
	let steps = STEPS1;
	c.step = "bundle";
	read(c, bytes);
	if (c.version === 2) {
		steps = STEPS2;
		c.claimed = new Set(["signed", "logged"]);
	}
	for (const step of steps) {
		c.step = step.name;
		await step.run(c);
		for (const level of step.levels ?? [])
			c.levels.add(level);
		await onStep(step.name, c);
	}
	c.done = true;
}

/**
 * trust: {operatorKey, commit, policy, chain, certificates, delay}, all optional. Returns
 *   verified  every step held and every level that the bundle claims is reached
 *   step      the last step entered
 *   why       null, or the one line that says what does not agree or is lacking
 *   held      no step failed
 *   levels    of those names, in order
 *   label     what must be said beside a v1 result
 *   c         everything that was read, for pictures: only of steps before `step` it is certain
 */
export async function check(bytes, trust = {}, onStep = async () => {}) {
	const c = { trust, version: 1, levels: new Set(), claimed: new Set(["reproduced"]), lacking: "", done: false };
	let why = null;
	try {
		await run(c, bytes, onStep);
	} catch (e) {
		why = e instanceof Refused ? e.message : `this page failed: ${String(e?.message ?? e)}`;
	}
	const held = c.done && why === null;
	const verified = held && [...c.claimed].every((level) => c.levels.has(level));
	return {
		verified, held, step: c.step, why: held && !verified ? c.lacking : why, levels: [...c.levels],
		version: c.version, label: c.version === 1 && held ? LABEL1 : null, c,
	};
}
