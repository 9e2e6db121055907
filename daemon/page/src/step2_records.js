// The records of a v2 bundle: that they belong together, and are in the operator's log in the order that they must
// have (DRAW.md section 6).

import { equal, utf8 } from "./bytes.js";
import { demand, members } from "./bundle.js";
import { leafHash } from "./merkle.js";
import { parseRecord } from "./record.js";
import { checkProof, parseProof } from "./tlog.js";

const LIST_MAX = 1000;
const RECORDS = ["open", "close", "draw", "abort"];

const least = (a, b) => (a < b ? a : b);

// --- reading ---

async function readOne(c, text, proofText, kind) {
	const record = parseRecord(text, kind);
	demand(record !== null, `"${kind}" is not a v2 ${kind} record`);
	const proof = parseProof(proofText);
	demand(proof !== null, `"${kind}_proof" is not a tlog-proof`);
	demand(kind === "open" || equal(record.raffle, c.open.raffle), `the ${kind} record is of another raffle`);
	return { ...record, text, proof, leaf: await leafHash(utf8(text)) };
}

async function readList(c, node, kind) {
	demand(node.items.length <= LIST_MAX, `more than ${LIST_MAX} ${kind} records`);
	const list = [];
	for (const item of node.items) {
		const at = members(item, kind, { record: "string", proof: "string" });
		list.push(await readOne(c, at.record.value, at.proof.value, kind));
	}
	return list;
}

// --- what they say of one another ---

/** As many winners and reserves as were announced, as far as the tickets go; dedupe may find fewer. */
export function checkNumbers({ open, close, draw }) {
	const winners = least(open.winners, close.tickets), reserves = least(open.reserves, close.tickets - winners);
	const won = BigInt(draw.winners.length), more = BigInt(draw.reserves.length);
	const right = open.dedupe === "none" ? won === winners && more === reserves
		: won <= winners && more <= open.reserves && (more === 0n || won === open.winners);
	demand(right, `the draw from ${close.tickets} tickets has ${won} winners and ${more} reserves, `
		+ `${open.winners} and ${open.reserves} were announced`);
}

/** It names the open record by its hash, but for the draw, and by its place. */
function checkOpen({ open }, { kind, openLeaf, openIndex }) {
	demand(kind === "draw" || equal(openLeaf, open.leaf), `the ${kind} record was made for another open record`);
	demand(openIndex === open.proof.index,
		`the open record is at ${open.proof.index} in the operator log, the ${kind} record says ${openIndex}`);
}

function checkDraw(c) {
	const { close, draw } = c;
	demand(draw.closeIndex === close.proof.index,
		`the close record is at ${close.proof.index} in the operator log, the draw record says ${draw.closeIndex}`);
	// of a file the bundle's winners are the lines
	if (draw.listed)
		checkNumbers(c);
}

export async function checkRecords(c) {
	for (const kind of RECORDS)
		c[kind] = c.at[kind].type === "null" ? null : await readOne(c, c.at[kind].value, c.at[`${kind}_proof`].value, kind);
	c.amends = await readList(c, c.at.amends, "amend");
	c.forfeits = await readList(c, c.at.forfeits, "forfeit");
	const { open, close, draw, abort } = c;
	c.terms = c.amends.at(-1) ?? open;
	demand(open.origin === c.ticketsKey.name,
		`the open record's ticket log is ${open.origin}, the bundle's key is of ${c.ticketsKey.name}`);
	for (const record of [close, draw, abort, ...c.amends].filter(Boolean))
		checkOpen(c, record);
	demand(close === null || close.at >= c.terms.salesClose, "the sale was closed before its time");
	if (draw !== null)
		checkDraw(c);
	demand(c.forfeits.every((f) => f.drawIndex === draw.proof.index), "a forfeit record was made for another draw");
}

// --- the operator log ---

async function checkLog(c, { kind, proof, leaf }) {
	const { state } = await checkProof(proof, leaf, c.operatorKey);
	demand(state !== "none", `the checkpoint of the ${kind} record is not signed by ${c.operatorKey.text}`);
	demand(state !== "format", `the checkpoint of the ${kind} record is none of that log`);
	demand(state === "ok", `the ${kind} record is not in the operator log: it, its proof or the signature was altered`);
}

/** Open, amends, close, draw or abort, forfeits. */
export const inOrder = (c) => [c.open, ...c.amends, c.close, c.draw, c.abort, ...c.forfeits].filter(Boolean);

export async function checkLogged(c) {
	let before = null;
	for (const record of inOrder(c)) {
		await checkLog(c, record);
		demand(before === null || record.proof.index > before.proof.index,
			`the ${record.kind} record stands before the ${before?.kind} record`);
		before = record;
	}
}
