// Checks a v2 proof bundle (DRAW.md sections 6 to 10), step by step. Nothing in the file is trusted but,
// when the reader gives no key, the name of the signer. The steps and what they say when something does not
// agree are klero-verify's; the code is not.

import { equal, hex, utf8 } from "./bytes.js";
import { demand, formatOf, hexMember, members, numberMember } from "./bundle.js";
import { kdfBy } from "./crypt.js";
import { DRAW_KEY, SEED_COMMIT, contextOf, shuffle } from "./draw.js";
import { chainHash, parseChain, quicknet, roundTime, verifyRound } from "./drand.js";
import { LEAF, parseLeaf } from "./leaf.js";
import { inTree, leafHash } from "./merkle.js";
import { parseLogKey, sameKey } from "./note.js";
import { parsePolicy } from "./policy.js";
import { follows, parsePulse, verifyPulse } from "./pulse.js";
import { LISTED_MAX, parseRecord } from "./record.js";
import { checkProof, openCheckpoint, parseProof } from "./tlog.js";

export const FORMAT2 = "kleroterion-proof/2";
export const TOKENS2 = 400000;
const DELAY = 600n, SEEN_BEFORE = 60n, EVER = 1n << 64n;
const RECORDS = ["open", "close", "draw"];
const AT_ONCE = 256;

const least = (a, b) => (a < b ? a : b);

// --- bundle ---

function readBundle(c) {
	const format = formatOf(c.root);
	demand(format === undefined || format === FORMAT2, `the format is not ${FORMAT2}`);
	c.at = members(c.root, "the bundle", {
		// the one member of two types first
		escrow_bundle_sha256: "object|array|string|number|true|false|null",
		format: "string", operator_vkey: "string", tickets_vkey: "string", policy: "string", open: "string",
		close: "string", draw: "string", open_proof: "string", close_proof: "string", draw_proof: "string",
		abort: "null", abort_proof: "null", amends: "array", forfeits: "array", tickets_checkpoint: "string",
		winners: "array", passed: "array", beacons: "array", timestamps: "array", software: "object",
	});
	const more = [c.at.amends, c.at.forfeits, c.at.timestamps];
	demand(more.every((list) => list.items.length === 0), "this version reads no amends, forfeits or time stamps");
}

// --- keys ---

async function logKey(c, name) {
	const key = await parseLogKey(c.at[name].value);
	demand(key !== null, `the bundle's ${name} is not a verifier key`);
	return key;
}

async function readKeys(c) {
	c.operatorKey = await logKey(c, "operator_vkey");
	c.ticketsKey = await logKey(c, "tickets_vkey");
	const { policy, line } = await parsePolicy(c.at.policy.value);
	demand(policy !== undefined, `the bundle's policy cannot be read, line ${line}`);
	c.policy = c.trust.policy ?? policy;
	const trusted = c.trust.operatorKey;
	demand(!trusted || sameKey(trusted, c.operatorKey),
		`the bundle names ${c.operatorKey.text} as its operator's log, not the trusted key of ${trusted?.name}`);
}

// --- records ---

async function readRecord(c, word) {
	const text = c.at[word].value, record = parseRecord(text, word);
	demand(record !== null, `"${word}" is not a v2 ${word} record`);
	c[word] = record;
	c.leaf[word] = await leafHash(utf8(text));
	demand(equal(record.raffle, c.open.raffle), `the ${word} record is of another raffle`);
}

/** As many as were announced, as far as the tickets go; dedupe may find fewer. */
function checkNumbers({ open, close, draw }) {
	const winners = least(open.winners, close.tickets), reserves = least(open.reserves, close.tickets - winners);
	demand(draw.listed, `more than ${LISTED_MAX} winners stand in a file of their own, which this version does not read`);
	const won = BigInt(draw.winners.length), more = BigInt(draw.reserves.length);
	const right = open.dedupe === "none" ? won === winners && more === reserves
		: won <= winners && more <= open.reserves && (more === 0n || won === open.winners);
	demand(right, `the draw has ${won} winners and ${more} reserves, it should have ${winners} and ${reserves}`);
}

async function readRecords(c) {
	c.leaf = {};
	for (const word of RECORDS)
		await readRecord(c, word);
	const { open, close, draw } = c;
	demand(equal(close.openLeaf, c.leaf.open), "the close record was made for another open record");
	demand(close.openIndex === draw.openIndex, "close and draw name different indexes of the open record");
	demand(open.origin === c.ticketsKey.name,
		`the open record's ticket log is ${open.origin}, the bundle's key is of ${c.ticketsKey.name}`);
	demand(close.at >= open.salesClose, "the sale was closed before its time");
	checkNumbers(c);
}

// --- the operator log ---

async function readProof(c, word) {
	const proof = parseProof(c.at[`${word}_proof`].value);
	demand(proof !== null, `"${word}_proof" is not a tlog-proof`);
	const { state, checkpoint } = await checkProof(proof, c.leaf[word], c.operatorKey);
	demand(state !== "none", `the checkpoint of the ${word} record is not signed by ${c.operatorKey.text}`);
	demand(state !== "format", `the checkpoint of the ${word} record is none of that log`);
	demand(state === "ok", `the ${word} record is not in the operator log: it, its proof or the signature was altered`);
	c.proofs[word] = { ...proof, checkpoint };
}

async function checkLogged(c) {
	const want = { open: c.close.openIndex, close: c.draw.closeIndex };
	let before;
	c.proofs = {};
	for (const word of RECORDS) {
		await readProof(c, word);
		const at = c.proofs[word].index;
		demand(word === "draw" || at === want[word], `the ${word} record is at ${at} in the operator log, not at ${want[word]}`);
		demand(before === undefined || at > c.proofs[before].index, `the ${word} record stands before the ${before} record`);
		before = word;
	}
}

// --- the ticket log ---

async function checkTickets(c) {
	c.note = c.at.tickets_checkpoint.value;
	const { state, checkpoint } = await openCheckpoint(c.note, c.ticketsKey);
	demand(state === "ok", `the ticket log's checkpoint is not signed by ${c.ticketsKey.name}`);
	c.tickets = checkpoint;
	demand(checkpoint.size === c.close.tickets && equal(checkpoint.root, c.close.root),
		"the ticket log's last checkpoint is not the one that the close record names");
}

// --- commitment ---

async function checkCommit(c) {
	const { seedCommit, raffle } = c.open;
	demand(!c.trust.commit || equal(c.trust.commit, seedCommit),
		"the record's seed commitment is not the one published before the sale");
	c.kdf = await kdfBy(c.draw.serverSeed);
	demand(equal(await c.kdf(SEED_COMMIT, raffle), seedCommit), "the server seed is not the one that was committed to");
}

// --- winners ---

function readTicket(c, node, what) {
	const at = members(node, what, { pos: "number", index: "number", ticket_id: "string", leaf_hex: "string", tlog_proof: "string" });
	const t = { pos: numberMember(at.pos, "pos"), index: numberMember(at.index, "index") };
	t.ticket = hexMember(at.ticket_id, "ticket_id", 16);
	t.bytes = hexMember(at.leaf_hex, "leaf_hex", LEAF);
	t.leaf = parseLeaf(t.bytes);
	demand(t.leaf !== null && t.leaf.index === t.index && equal(t.leaf.ticket, t.ticket) && equal(t.leaf.raffle, c.open.raffle),
		`the leaf of ticket ${t.index} is of another one`);
	t.proof = at.tlog_proof.value;
	return t;
}

/** The proof brings the bundle's own checkpoint along. */
async function provenTicket(c, t) {
	const p = parseProof(t.proof);
	return p !== null && p.index === t.index && p.note === c.note
		&& inTree(await leafHash(t.bytes), t.index, c.tickets.size, p.path, c.tickets.root);
}

async function readTickets(c, node, what) {
	demand(node.items.length <= LISTED_MAX, `more than ${LISTED_MAX} ${what}`);
	const list = [];
	for (let from = 0; from < node.items.length; from += AT_ONCE) {
		const some = [];
		let refused = null;
		try {
			for (const item of node.items.slice(from, from + AT_ONCE))
				some.push(readTicket(c, item, what));
		} catch (e) {
			refused = e;
		}
		const proven = await Promise.all(some.map((t) => provenTicket(c, t)));
		const bad = proven.indexOf(false);
		demand(bad < 0, `ticket ${some[bad]?.index} is not shown to be in the ticket log`);
		if (refused !== null)
			throw refused;
		list.push(...some);
	}
	return list;
}

async function checkWinners(c) {
	const { winners, reserves } = c.draw, picks = [...winners, ...reserves];
	c.winners = await readTickets(c, c.at.winners, "winners");
	c.passed = await readTickets(c, c.at.passed, "passed");
	demand(c.winners.length === picks.length,
		`the record has ${picks.length} winners and reserves, the bundle ${c.winners.length}`);
	c.winners.forEach((t, i) => {
		const winner = i < winners.length, pos = BigInt(winner ? i + 1 : i - winners.length + 1);
		demand(t.pos === pos && t.index === picks[i].index && hex(t.ticket) === picks[i].ticket,
			`${winner ? "winner" : "reserve"} ${pos} of the bundle is not the record's`);
	});
	demand(c.passed.length === 0 || c.open.dedupe === "holder", "tickets were passed over without a rule for it");
}

// --- the draw ---

async function checkKey(c) {
	const { draw, close } = c;
	const context = await contextOf(draw.raffle, c.leaf.open, close.tickets, close.root, draw.beacons);
	demand(equal(context, draw.context), "the context does not follow from the open record, the tickets and the beacons");
	demand(equal(await c.kdf(DRAW_KEY, context), draw.drawKey),
		"the draw key does not follow from the server seed and the context");
}

/** Walks the shuffle: each place is the next winner's, or that of one rightly passed over. */
function checkOrder(c) {
	const holders = new Set(), dedupe = c.open.dedupe === "holder";
	let won = 0, passed = 0;
	for (const place of c.places) {
		const p = c.passed[passed], w = c.winners[won];
		if (p?.index === place.index && p.pos === BigInt(won) && holders.has(hex(p.leaf.holder))) {
			place.passed = p;
			passed++;
			continue;
		}
		demand(w?.index === place.index, `the draw gives ticket ${place.index} where the record has another one`);
		const holder = hex(w.leaf.holder);
		demand(!dedupe || !holders.has(holder), `ticket ${place.index} is of a holder who had won before`);
		holders.add(holder);
		place.winner = w;
		won++;
	}
}

async function checkDraw(c) {
	await checkKey(c);
	const k = c.winners.length + c.passed.length, n = c.close.tickets;
	demand(BigInt(k) <= n, "more winners than tickets");
	c.places = await shuffle(c.draw.drawKey, n, k);
	checkOrder(c);
	// fewer distinct holders than prizes: then every ticket must have been looked at
	demand(BigInt(c.winners.length) >= c.open.winners + c.open.reserves || BigInt(k) === n,
		"the draw ended before all tickets had been looked at");
}

// --- times ---

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
	const pulse = node.type === "object" ? parsePulse(node) : null;
	demand(pulse !== null, "a pulse that cannot be read");
	return pulse;
}

function readNist(b, node) {
	demand(node.type === "object", "a beacon is not an object");
	demand(node.members.has("previous_pulse"), 'a beacon has no member "previous_pulse"');
	const at = members(node, "a beacon", {
		type: "string", pulse: "object", previous_pulse: "object|array|string|number|true|false|null",
		certificate_pem: "string", intermediate_pem: "string",
	});
	demand(at.type.value === "nist2", "a beacon is of another type than in the draw record");
	const pulse = readPulse(at.pulse), previous = at.previous_pulse.type === "null" ? null : readPulse(at.previous_pulse);
	demand(pulse.chain === b.chain && pulse.pulse === b.pulse && equal(pulse.output, b.output),
		"the bundle's pulse is not the draw record's");
	return { pulse, previous, pem: at.certificate_pem.value };
}

/** The same source, and the very round or pulse that was promised. */
function checkPromise(promised, came, given) {
	demand(promised.kind === came.kind, "the draw used another beacon than was promised");
	if (came.kind === "drand") {
		demand(equal(promised.chainHash, came.chainHash), "the draw used another drand chain than was promised");
		demand(promised.round === came.round, `the draw used round ${came.round}, round ${promised.round} was promised`);
		return;
	}
	demand(promised.chain === came.chain, "the draw used another chain than was promised");
	const { pulse, previous } = given;
	// at that moment, or the first after it, which its predecessor shows
	demand(pulse.at === promised.at || (pulse.at > promised.at && previous !== null && previous.at < promised.at && follows(pulse, previous)),
		"the pulse is not the first one from the promised moment on");
}

function momentOf(b, given) {
	const at = b.kind === "drand" ? roundTime(given.chain, b.round) : given.pulse.at / 1000n;
	demand(at !== null, "the round has no time");
	return at;
}

async function checkTimes(c) {
	const promised = c.open.beacons, came = c.draw.beacons, nodes = c.at.beacons.items;
	demand(came.length === promised.length && nodes.length === came.length, "the draw, its bundle and the promise differ in beacons");
	c.delay = c.trust.delay ?? DELAY;
	c.beacons = [];
	for (const [i, b] of came.entries()) {
		const given = b.kind === "drand" ? await readDrand(b, nodes[i]) : readNist(b, nodes[i]);
		checkPromise(promised[i], b, given);
		const at = momentOf(b, given);
		demand(at >= c.delay + c.open.salesClose, `a beacon's value came less than ${c.delay} s after the end of sales`);
		c.beacons.push({ ...b, ...given, at });
	}
	c.first = c.beacons.map((b) => b.at).reduce(least);
}

// --- beacons ---

/** The chain that the reader or this page has pinned, null when nobody has. */
async function pinned(c, hash) {
	for (const chain of [quicknet, c.trust.chain])
		if (chain && equal(await chainHash(chain), hash))
			return chain;
	return null;
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

async function checkBeacons(c) {
	const note = (what) => {
		c.lacking ||= `beacon not verified: ${what}`;
		return false;
	};
	let all = await checkRound(c, c.open.notBefore, "not-before: round") || note("the not-before chain is not a known one");
	for (const b of c.beacons) {
		b.known = b.kind === "drand" ? await checkRound(c, b, "round") : await checkPulse(c, b);
		if (!b.known)
			all = note(b.kind === "drand" ? "its chain is not a known one" : "the pulse's certificate is not a known one");
	}
	if (all)
		c.levels.add("beacon-verified");
}

// --- witnesses ---

async function seenBy(c, note, what, until) {
	const seen = await c.policy.seen(note, until);
	demand(seen !== null, `a witness's cosignature of the ${what} is wrong`);
	return seen;
}

/**
 * A policy without a quorum claims nothing. One that has it asks that enough witnesses have seen each of
 * the records and the tickets, and the close record before anybody could know the first value.
 */
async function checkWitnesses(c) {
	const until = c.first < SEEN_BEFORE ? 0n : c.first - SEEN_BEFORE;
	let met = c.policy.met(await seenBy(c, c.note, "tickets", EVER));
	for (const word of RECORDS) {
		const seen = await seenBy(c, c.proofs[word].note, word, word === "close" ? until : EVER);
		met = c.policy.met(seen) && met;
		if (word === "close")
			c.seen = [...seen];
	}
	if (c.policy.quorum === null)
		return;
	c.claimed.add("witnessed");
	if (met)
		c.levels.add("witnessed");
	else
		c.lacking ||= "not enough witnesses saw the records, and the close record in time";
}

// --- all steps ---

/** name: klero-verify's word; levels: what is shown when it and those before hold. */
export const STEPS2 = [
	{ name: "bundle", run: readBundle },
	{ name: "keys", run: readKeys },
	{ name: "records", run: readRecords },
	{ name: "operator log", run: checkLogged, levels: ["signed", "logged"] },
	{ name: "ticket log", run: checkTickets },
	{ name: "commitment", run: checkCommit },
	{ name: "winners", run: checkWinners },
	{ name: "draw", run: checkDraw, levels: ["reproduced"] },
	{ name: "times", run: checkTimes },
	{ name: "beacons", run: checkBeacons },
	{ name: "witnesses", run: checkWitnesses },
];

export const LEVELS2 = ["reproduced", "signed", "logged", "beacon-verified"];
