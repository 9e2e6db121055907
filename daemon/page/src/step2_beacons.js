// The beacons of a v2 bundle: that the draw's values are those that were promised, of moments after the sale, and
// that their sources signed them (DRAW.md sections 6 and 7). A source that nobody has pinned leaves the level
// unreached, a wrong value fails.

import { equal } from "./bytes.js";
import { demand, hexMember, members, numberMember } from "./bundle.js";
import { chainHash, parseChain, quicknet, roundTime, verifyRound } from "./drand.js";
import { follows, parsePulse, verifyPulse } from "./pulse.js";

const DELAY = 600n, LEAD = 60n;

/** From the end of sales to a beacon's value, in seconds, as the reader asks. */
const delayOf = (c) => c.trust.delay ?? DELAY;

/** How long before it the close record must have been seen: a tenth of a shorter delay, rounded up. */
export const leadOf = (delay) => (delay >= DELAY ? LEAD : (delay + DELAY / LEAD - 1n) / (DELAY / LEAD));

/** So long before a value that nobody can have known it. */
export const before = (c, first) => {
	const lead = leadOf(delayOf(c));
	return first < lead ? 0n : first - lead;
};

export const least = (list) => list.reduce((a, b) => (a < b ? a : b));

// --- what the bundle brings ---

async function readDrand(b, node) {
	const at = members(node, "a beacon", { type: "string", chain_info: "object", round: "number", signature: "string" });
	demand(at.type.value === "drand", "a beacon is of another type than in the draw record");
	const chain = await parseChain(at.chain_info);
	demand(chain !== null, "chain_info is of no chain that can be used");
	const round = numberMember(at.round, "round"), signature = hexMember(at.signature, "signature", 48);
	demand(equal(await chainHash(chain), b.chainHash), "chain_info is not of the chain in the draw record");
	demand(round === b.round && equal(signature, b.signature), "the bundle's round is not the draw record's");
	return { chain };
}

function readPulse(node) {
	const pulse = parsePulse(node);
	demand(pulse !== null, "a pulse that cannot be read");
	return pulse;
}

function readNist(b, node) {
	const at = members(node, "a beacon",
		{ type: "string", pulse: "object", previous_pulse: "object|null", certificate_pem: "string", intermediate_pem: "string" });
	demand(at.type.value === "nist2", "a beacon is of another type than in the draw record");
	const pulse = readPulse(at.pulse), previous = at.previous_pulse.type === "null" ? null : readPulse(at.previous_pulse);
	demand(pulse.chain === b.chain && pulse.pulse === b.pulse && equal(pulse.output, b.output),
		"the bundle's pulse is not the draw record's");
	return { pulse, previous, pem: at.certificate_pem.value };
}

// --- times ---

/** The same source, and the very round or pulse that was promised. */
function checkPromise(promised, came, { pulse, previous }) {
	demand(promised.kind === came.kind, "the draw used another beacon than was promised");
	if (came.kind === "drand") {
		demand(equal(promised.chainHash, came.chainHash), "the draw used another drand chain than was promised");
		demand(promised.round === came.round, `the draw used round ${came.round}, round ${promised.round} was promised`);
		return;
	}
	demand(promised.chain === came.chain, "the draw used another chain than was promised");
	// at that moment, or the first after it, which its predecessor shows
	const first = pulse.at > promised.at && previous !== null && previous.at < promised.at && follows(pulse, previous);
	demand(pulse.at === promised.at || first, "the pulse is not the first one from the promised moment on");
}

function momentOf(b, given) {
	const at = b.kind === "drand" ? roundTime(given.chain, b.round) : given.pulse.at / 1000n;
	demand(at !== null, "the round has no time");
	return at;
}

export async function checkTimes(c) {
	if (c.draw === null)
		return;
	const promised = c.terms.beacons, came = c.draw.beacons, nodes = c.at.beacons.items, delay = delayOf(c);
	demand(came.length === promised.length && nodes.length === came.length, "the draw, its bundle and the promise differ in beacons");
	c.beacons = [];
	for (const [i, b] of came.entries()) {
		const given = b.kind === "drand" ? await readDrand(b, nodes[i]) : readNist(b, nodes[i]);
		checkPromise(promised[i], b, given);
		const at = momentOf(b, given);
		demand(at >= delay + c.terms.salesClose, `a beacon's value came less than ${delay} s after the end of sales`);
		c.beacons.push({ ...b, ...given, at });
	}
	c.first = least(c.beacons.map((b) => b.at));
}

// --- signatures ---

/** The chain that the reader or this page has pinned, null when nobody has. */
async function pinned(c, hash) {
	for (const chain of [quicknet, c.trust.chain])
		if (chain && equal(await chainHash(chain), hash))
			return chain;
	return null;
}

/** When the first value of promised terms could be known, in seconds; 0 where a chain's times are not known. */
export async function firstOf(c, terms) {
	const times = await Promise.all(terms.beacons.map(async (b) => {
		if (b.kind === "nist2")
			return b.at / 1000n;
		const chain = await pinned(c, b.chainHash);
		return (chain && roundTime(chain, b.round)) ?? 0n;
	}));
	return least(times);
}

/** false when nobody has pinned the source. */
async function checkRound(c, b, what) {
	const chain = await pinned(c, b.chainHash);
	demand(chain === null || await verifyRound(chain, b.round, b.signature), `${what} ${b.round} is not signed by its drand chain`);
	return chain !== null;
}

async function checkPulse(c, { pulse, previous, pem }) {
	demand(await verifyPulse(pulse, pem), "the pulse is not signed by its certificate");
	demand(previous === null || await verifyPulse(previous, pem), "the previous pulse is not signed by its certificate");
	return (c.trust.certificates ?? []).some((id) => equal(id, pulse.certificate));
}

export async function checkBeacons(c) {
	let all = true;
	const note = (known, what) => {
		if (!known)
			c.lacking ||= `beacon not verified: ${what}`;
		all &&= known;
		return known;
	};
	// the records cannot be older than the values that they name
	for (const { notBefore } of [c.open, ...c.amends])
		note(await checkRound(c, notBefore, "not-before: round"), "the not-before chain is not a known one");
	if (c.draw === null)
		return;
	for (const b of c.beacons) {
		if (b.kind === "drand")
			b.known = note(await checkRound(c, b, "round"), "its chain is not a known one");
		else
			b.known = note(await checkPulse(c, b), "the pulse's certificate is not a known one");
	}
	if (all)
		c.levels.add("beacon-verified");
}
