// Checks a v1 proof bundle (DRAW.md section 11), in which an operator entered the randomness after the sale:
// it can be reproduced, and that is all it can show. The steps and their words are klero-verify's.

import { equal, hex, join, label, u32, unbase64, unhex, utf8 } from "./bytes.js";
import { demand, formatOf, members } from "./bundle.js";
import { hmacBy, sha256 } from "./crypt.js";
import { shuffle } from "./draw.js";
import { integer } from "./json.js";
import { clientSeedHash, parseLeaf } from "./leaf.js";
import { leafHash, rootOf } from "./merkle.js";
import { noteKeyOf, openNote, parseLogKey, sameKey } from "./note.js";
import { PICKS1_MAX, parseRecord1 } from "./record.js";

export const FORMAT1 = "kleroterion-proof/1";
export const LABEL1 = "reproduced; entropy chosen by the operator after close";
export const tokens1 = (bytes) => Math.floor(bytes / 81) + 64;
const SEED_MAX = 65535, VKEY_MAX = 414, AT_ONCE = 1024;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const least = (a, b) => (a < b ? a : b);

function count(node, min, what) {
	const v = integer(node);
	demand(v !== null && v >= min && v <= PICKS1_MAX, `the raffle's number of ${what} is out of range`);
	return v;
}

function readBundle(c) {
	const format = formatOf(c.root);
	demand(format === undefined || format === FORMAT1, `the format is not ${FORMAT1}`);
	c.at = members(c.root, "the bundle", {
		format: "string", label: "string", vkey: "string", note: "string", raffle: "object", leaves: "array",
		client_seeds: "array",
	});
	demand(c.at.label.value === LABEL1, `the label is not "${LABEL1}"`);
	const raffle = members(c.at.raffle, '"raffle"', { id: "string", title: "string", winners: "number", reserves: "number" });
	demand(UUID.test(raffle.id.value), "the raffle's id is not a UUID");
	c.raffle = unhex(raffle.id.value.replaceAll("-", ""));
	c.title = raffle.title.value;
	c.winners = count(raffle.winners, 1n, "winners");
	c.reserves = count(raffle.reserves, 0n, "reserves");
}

// --- signature ---

async function checkSignature(c) {
	const text = c.at.vkey.value, trusted = c.trust.operatorKey && await noteKeyOf(c.trust.operatorKey);
	const key = utf8(text).length <= VKEY_MAX ? await parseLogKey(text) : null;
	demand(key !== null, "the bundle's vkey is no verifier key of Ed25519 or P-256");
	c.operatorKey = key;
	demand(!trusted || sameKey(trusted, key), `the bundle names ${text} as its signer, not the trusted key of ${trusted?.name}`);
	const note = await openNote(c.at.note.value, key);
	demand(note.state !== "none", `the note bears no signature by ${text}`);
	demand(note.state !== "wrong", "the signature is wrong: the record or the signature was altered");
	demand(note.state === "ok", "the note is not a signed note");
	c.text = note.text;
}

// --- record ---

function checkRecord(c) {
	const r = parseRecord1(c.text);
	demand(r !== null, "the signed text is not a v1 draw record");
	c.draw = r;
	demand(equal(r.raffle, c.raffle), "the record is of another raffle than the bundle");
	const winners = least(c.winners, r.tickets), reserves = least(c.reserves, r.tickets - winners);
	demand(BigInt(r.winners.length) === winners, `the record has ${r.winners.length} winners, the raffle should have ${winners}`);
	demand(BigInt(r.reserves.length) === reserves,
		`the record has ${r.reserves.length} reserves, the raffle should have ${reserves}`);
}

async function checkCommit(c) {
	const { seedCommit, serverSeed } = c.draw;
	demand(!c.trust.commit || equal(c.trust.commit, seedCommit),
		"the record's seed commitment is not the one published before the sale");
	demand(equal(await sha256(serverSeed), seedCommit), "the server seed is not the one that was committed to");
}

// --- leaves and client seeds ---

/** One string a ticket. */
function checkArray(c, items, what) {
	const n = BigInt(items.length), { tickets } = c.draw;
	demand(n === tickets, `the record counts ${tickets} tickets, the bundle has ${n} ${what}: `
		+ (n < tickets ? "some are missing" : "some were added"));
	const odd = items.findIndex((item) => item.type !== "string");
	demand(odd < 0, `element ${odd} of the ${what} is not a string`);
}

/** The hashes of all, some at a time: a browser does not like a million promises. */
async function hashAll(items, hash) {
	const out = [];
	for (let from = 0; from < items.length; from += AT_ONCE)
		out.push(...await Promise.all(items.slice(from, from + AT_ONCE).map(hash)));
	return out;
}

async function checkLeaves(c) {
	const { items } = c.at.leaves;
	checkArray(c, items, "leaves");
	const bytes = [];
	c.leaves = items.map((node, i) => {
		bytes.push(node.plain ? unbase64(node.value) : null);
		const leaf = bytes[i] && parseLeaf(bytes[i]);
		demand(leaf, `leaf ${i} is not a ticket leaf`);
		demand(equal(leaf.raffle, c.raffle), `leaf ${i} is of another raffle`);
		demand(leaf.index === BigInt(i), `leaf ${i} says that its index is ${leaf.index}: reordered`);
		return leaf;
	});
	c.hashes = await hashAll(bytes, leafHash);
}

async function checkRoot(c) {
	demand(equal(await rootOf(c.hashes), c.draw.root), "the leaves do not have the record's root: a leaf was altered");
}

async function checkSeeds(c) {
	const { items } = c.at.client_seeds;
	checkArray(c, items, "client seeds");
	c.seeds = items.map((node) => utf8(node.value));
	const long = c.seeds.findIndex((s) => s.length > SEED_MAX);
	const hashes = await hashAll(long < 0 ? c.seeds : c.seeds.slice(0, long), clientSeedHash);
	const other = hashes.findIndex((h, i) => !equal(h, c.leaves[i].seed));
	demand(other < 0, `client seed ${other} is not the one in its leaf`);
	demand(long < 0, `client seed ${long} is too long`);
}

async function checkAggregate(c) {
	const aggregate = await sha256(join(await hashAll(c.seeds, (s) => sha256(s))));
	demand(equal(aggregate, c.draw.aggregate), "the client seeds do not have the record's aggregate");
}

// --- the draw ---

// "winner 1", "reserve 2": how the i-th of all picks is called
function placeName({ winners }, i) {
	return i < winners.length ? `winner ${i + 1}` : `reserve ${i - winners.length + 1}`;
}

async function checkDraw(c) {
	const { draw } = c, picks = [...draw.winners, ...draw.reserves];
	const hmac = await hmacBy(draw.serverSeed);
	const key = await hmac(label("kleroterion/v1"), u32(draw.entropy.length), draw.entropy, draw.aggregate);
	const from = "does not follow from its seed, entropy and aggregate";
	demand(BigInt(picks.length) <= draw.tickets, `the record's tickets ${from}`);
	demand(equal(key, draw.drawKey), `the record's draw-key ${from}`);
	c.places = await shuffle(key, draw.tickets, picks.length);
	picks.forEach((p, i) => {
		demand(p.index === c.places[i].index, `${placeName(draw, i)} is ticket ${p.index} in the record, `
			+ `but the draw gives ticket ${c.places[i].index}`);
	});
}

function checkWinners(c) {
	const { winners, reserves } = c.draw;
	[...winners, ...reserves].forEach((p, i) => {
		demand(hex(c.leaves[Number(p.index)].ticket) === p.ticket,
			`the ticket id of ${placeName(c.draw, i)} is not the one in leaf ${p.index}`);
	});
}

export const STEPS1 = [
	{ name: "bundle", run: readBundle },
	{ name: "signature", run: checkSignature },
	{ name: "record", run: checkRecord },
	{ name: "commitment", run: checkCommit },
	{ name: "leaves", run: checkLeaves },
	{ name: "root", run: checkRoot },
	{ name: "client seeds", run: checkSeeds },
	{ name: "aggregate", run: checkAggregate },
	{ name: "draw", run: checkDraw },
	{ name: "winners", run: checkWinners, levels: ["reproduced"] },
];
