// Winners and reserves of a v2 bundle: their tickets, the shuffle that chose them, and who stands for the prizes
// after the forfeits (DRAW.md section 8).

import { equal, hex, utf8 } from "./bytes.js";
import { demand, hexMember, members, numberMember } from "./bundle.js";
import { kdfBy, sha256 } from "./crypt.js";
import { DRAW_KEY, contextOf, shuffle } from "./draw.js";
import { LEAF, parseLeaf } from "./leaf.js";
import { inTree, leafHash } from "./merkle.js";
import { PICKS_MAX, picksFile } from "./record.js";
import { checkNumbers } from "./step2_records.js";
import { parseProof } from "./tlog.js";

const AT_ONCE = 256;

// --- their tickets ---

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
async function proven(c, t) {
	const p = parseProof(t.proof);
	return p !== null && p.index === t.index && p.note === c.note
		&& inTree(await leafHash(t.bytes), t.index, c.tickets.size, p.path, c.tickets.root);
}

/** Some tickets: those before one that cannot be read are judged first. */
async function readSome(c, items, what) {
	const some = [];
	let refused = null;
	try {
		for (const item of items)
			some.push(readTicket(c, item, what));
	} catch (e) {
		refused = e;
	}
	const good = await Promise.all(some.map((t) => proven(c, t))), bad = good.indexOf(false);
	demand(bad < 0, `ticket ${some[bad]?.index} is not shown to be in the ticket log`);
	if (refused !== null)
		throw refused;
	return some;
}

async function readTickets(c, node, what) {
	demand(node.items.length <= PICKS_MAX, `more than ${PICKS_MAX} ${what}`);
	const list = [];
	for (let from = 0; from < node.items.length; from += AT_ONCE)
		list.push(...await readSome(c, node.items.slice(from, from + AT_ONCE), what));
	return list;
}

/** Of a record that names a file the bundle's winners are its lines; pos begins again with the reserves. */
async function checkFile(c) {
	const { draw, winners } = c, picks = winners.map((t) => ({ index: t.index, ticket: hex(t.ticket) }));
	demand(BigInt(picks.length) === draw.count, `the record has ${draw.count} winners and reserves, the bundle ${picks.length}`);
	const end = winners.findIndex((t, i) => t.pos !== BigInt(i + 1)), n = end < 0 ? winners.length : end;
	draw.winners = picks.slice(0, n);
	draw.reserves = picks.slice(n);
	const file = n > 0 ? picksFile(draw.winners, draw.reserves) : "";
	demand(equal(await sha256(utf8(file)), draw.winnersFile), "the bundle's winners are not those of the file that the record names");
	checkNumbers(c);
}

export async function checkWinners(c) {
	if (c.draw === null)
		return;
	c.winners = await readTickets(c, c.at.winners, "winners");
	c.unlisted = c.at.passed.type === "null";
	c.passed = c.unlisted ? [] : await readTickets(c, c.at.passed, "passed");
	if (!c.draw.listed)
		await checkFile(c);
	const { winners, reserves } = c.draw, picks = [...winners, ...reserves];
	demand(c.winners.length === picks.length, `the record has ${picks.length} winners and reserves, the bundle ${c.winners.length}`);
	c.winners.forEach((t, i) => {
		const winner = i < winners.length, pos = BigInt(winner ? i + 1 : i - winners.length + 1);
		demand(t.pos === pos && t.index === picks[i].index && hex(t.ticket) === picks[i].ticket,
			`${winner ? "winner" : "reserve"} ${pos} of the bundle is not the record's`);
	});
	demand((c.passed.length === 0 && !c.unlisted) || c.open.dedupe === "holder", "tickets were passed over without a rule for it");
}

// --- the draw ---

async function checkKey({ open, close, draw }) {
	const context = await contextOf(draw.raffle, open.leaf, close.tickets, close.root, draw.beacons);
	demand(equal(context, draw.context), "the context does not follow from the open record, the tickets and the beacons");
	const kdf = await kdfBy(draw.serverSeed);
	demand(equal(await kdf(DRAW_KEY, context), draw.drawKey), "the draw key does not follow from the server seed and the context");
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
		won++;
	}
}

/** Which pick holds each prize in the end: a forfeited one goes to the next reserve, or to nobody (null). */
function checkStanding(c) {
	const winners = c.draw.winners.length;
	let next = winners;
	c.standing = Array.from({ length: winners }, (_, i) => i);
	for (const { pos } of c.forfeits) {
		const at = Number(pos) - 1;
		demand(pos <= BigInt(winners) && c.standing[at] !== null, "a forfeit is of a prize that nobody held");
		c.standing[at] = next < c.winners.length ? next++ : null;
	}
}

/** The shuffle gives these tickets in this order, and all were looked at where there are fewer holders than prizes. */
async function checkShuffle(c) {
	const k = c.winners.length + c.passed.length, n = c.close.tickets;
	demand(BigInt(k) <= n && k <= PICKS_MAX, "more winners than tickets");
	c.places = await shuffle(c.draw.drawKey, n, k);
	checkOrder(c);
	demand(BigInt(c.winners.length) >= c.open.winners + c.open.reserves || BigInt(k) === n,
		"the draw ended before all tickets had been looked at");
}

export async function checkDraw(c) {
	if (c.draw === null)
		return;
	await checkKey(c);
	c.places = [];
	if (!c.unlisted)
		await checkShuffle(c);
	checkStanding(c);
	if (!c.unlisted)
		c.levels.add("reproduced");
	else
		c.lacking ||= "the draw passed over more tickets than the proof lists: only the ticket log shows it (klero-verify --log)";
}
