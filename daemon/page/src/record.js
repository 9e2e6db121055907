// The records of a v2 draw (DRAW.md section 6): texts of lines in one order, each in one form. A reader
// takes line by line; what it does not expect makes the text no record.

import { decimal, hex, unhex } from "./bytes.js";
import { ORIGIN } from "./tlog.js";

export const LISTED_MAX = 800;
export const PICKS1_MAX = 2000;
export const PICKS_MAX = 100000;
const BEACONS_MAX = 4, ENTROPY_MAX = 256;
const U64 = "(0|[1-9][0-9]{0,19})";
const hexOf = (bytes) => `([0-9a-f]{${2 * bytes}})`;
const NO_ESCROW = "0".repeat(64);

class Wrong extends Error {}
const demand = (holds) => {
	if (!holds)
		throw new Wrong();
};

/** Lines one by one; what is not as it should be throws Wrong. */
class Lines {
	constructor(text) {
		this.lines = text.split("\n");
		demand(this.lines.pop() === "");
		this.at = 0;
	}

	/** The groups of the pattern that the next line must be. */
	line(pattern) {
		const m = new RegExp(`^${pattern}$`).exec(this.lines[this.at++] ?? "");
		demand(m !== null);
		return m.slice(1);
	}

	number(name) {
		return number(this.line(`${name} ${U64}`)[0]);
	}

	bytes(name, size) {
		return unhex(this.line(`${name} ${hexOf(size)}`)[0]);
	}

	begins(word) {
		return this.lines[this.at]?.startsWith(word) ?? false;
	}

	end() {
		demand(this.at === this.lines.length);
	}
}

function number(digits) {
	const v = decimal(digits);
	demand(v !== null);
	return v;
}

// --- beacons ---

const DRAND = `drand ${hexOf(32)} ${U64}`;
const PROMISED = { drand: DRAND, nist2: `nist2 ${U64} ${U64}` };
const CAME = { drand: `${DRAND} ${hexOf(48)}`, nist2: `nist2 ${U64} ${U64} ${hexOf(64)}` };

/** One beacon line, promised or (with what it gave) come. */
function beacon(lines, word, forms) {
	const came = forms === CAME;
	if (lines.begins(`${word} drand `)) {
		const [chainHash, round, signature] = lines.line(`${word} ${forms.drand}`);
		const b = { kind: "drand", chainHash: unhex(chainHash), round: number(round) };
		demand(b.round > 0n);
		return came ? { ...b, signature: unhex(signature) } : b;
	}
	const [chain, value, output] = lines.line(`${word} ${forms.nist2}`);
	const b = { kind: "nist2", chain: number(chain) };
	return came ? { ...b, pulse: number(value), output: unhex(output) } : { ...b, at: number(value) };
}

function beacons(lines, forms) {
	const list = [];
	while (lines.begins("beacon ")) {
		demand(list.length < BEACONS_MAX);
		list.push(beacon(lines, "beacon", forms));
	}
	// none twice
	const names = list.map((b) => (b.kind === "drand" ? hex(b.chainHash) : b.kind));
	demand(list.length >= 1 && new Set(names).size === names.length);
	return list;
}

/** What open and amend say of time and randomness. */
function terms(lines) {
	const salesClose = lines.number("sales-close");
	const promised = beacons(lines, PROMISED);
	const notBefore = beacon(lines, "not-before", CAME);
	demand(notBefore.kind === "drand");
	const deadline = lines.number("draw-deadline");
	demand(deadline > salesClose);
	return { salesClose, beacons: promised, notBefore, deadline };
}

// --- the kinds ---

function open(lines) {
	const r = {};
	[r.origin] = lines.line(`tickets-origin (${ORIGIN})`);
	r.seedCommit = lines.bytes("seed-commit kbkdf-hmac-sha256", 32);
	r.winners = lines.number("winners");
	r.reserves = lines.number("reserves");
	[r.dedupe] = lines.line("dedupe (none|holder)");
	Object.assign(r, terms(lines));
	const [m, n, escrow] = lines.line(`escrow ${U64} ${U64} ${hexOf(32)}`);
	r.escrow = { m: number(m), n: number(n), hash: unhex(escrow) };
	[r.onDefault] = lines.line("on-default (escrow|void)");
	r.rules = lines.bytes("rules", 32);
	demand(r.winners >= 1n && r.winners + r.reserves <= BigInt(PICKS_MAX));
	if (r.escrow.n === 0n)
		demand(r.escrow.m === 0n && r.onDefault === "void" && escrow === NO_ESCROW);
	else
		demand(r.escrow.m >= 1n && r.escrow.m <= r.escrow.n);
	return r;
}

function openLeaf(lines) {
	const [index, leaf] = lines.line(`open ${U64} ${hexOf(32)}`);
	return { openIndex: number(index), openLeaf: unhex(leaf) };
}

function close(lines) {
	const r = openLeaf(lines);
	r.tickets = lines.number("tickets");
	r.root = lines.bytes("root", 32);
	r.at = lines.number("closed-at");
	return r;
}

/** Lines "<word> <pos> <index> <ticket id>", pos from 1; at most max with those before. */
function picks(lines, word, before, max = LISTED_MAX) {
	const list = [];
	while (lines.begins(`${word} `)) {
		const [pos, index, ticket] = lines.line(`${word} ${U64} ${U64} ${hexOf(16)}`);
		list.push({ index: number(index), ticket });
		demand(number(pos) === BigInt(list.length) && before + list.length <= max);
	}
	return list;
}

function draw(lines) {
	const r = { openIndex: lines.number("open"), closeIndex: lines.number("close") };
	r.serverSeed = lines.bytes("server-seed", 32);
	r.beacons = beacons(lines, CAME);
	r.context = lines.bytes("context", 32);
	r.drawKey = lines.bytes("draw-key", 32);
	r.listed = !lines.begins("winners-file ");
	if (!r.listed) {
		const [file, count] = lines.line(`winners-file ${hexOf(32)} ${U64}`);
		Object.assign(r, { winnersFile: unhex(file), count: number(count), winners: [], reserves: [] });
		demand(r.count > LISTED_MAX && r.count <= BigInt(PICKS_MAX));
		return r;
	}
	r.winners = picks(lines, "winner", 0);
	demand(r.winners.length >= 1);
	r.reserves = picks(lines, "reserve", r.winners.length);
	return r;
}

/** The file that a draw record names when there are more picks than it lists: the same lines. */
export function picksFile(winners, reserves) {
	const list = (word, picked) => picked.map((p, i) => `${word} ${i + 1} ${p.index} ${p.ticket}\n`).join("");
	return list("winner", winners) + list("reserve", reserves);
}

/** "<name> <word>": a-z, 0-9 and some marks. */
const wordLine = (lines, name) => lines.line(`${name} ([a-z0-9][-a-z0-9._@]{0,63})`)[0];

function abort(lines) {
	const r = { ...openLeaf(lines), reason: wordLine(lines, "reason") };
	r.statement = lines.bytes("statement", 32);
	r.at = lines.number("aborted-at");
	return r;
}

function forfeit(lines) {
	const r = { drawIndex: lines.number("draw"), pos: lines.number("winner"), rule: wordLine(lines, "rule") };
	r.evidence = lines.bytes("evidence", 32);
	r.at = lines.number("forfeited-at");
	demand(r.pos > 0n);
	return r;
}

const amend = (lines) => ({ ...openLeaf(lines), ...terms(lines) });

const KINDS = { open, close, draw, abort, forfeit, amend };

/** What read() makes of a text of lines, null when it is none of them. */
function parse(text, head, read) {
	try {
		const lines = new Lines(text);
		lines.line(head);
		const record = { raffle: lines.bytes("raffle", 16), ...read(lines) };
		lines.end();
		return record;
	} catch (e) {
		if (!(e instanceof Wrong))
			throw e;
		return null;
	}
}

/** The v2 record of that kind, null for any other text. Times are BigInts of Unix seconds. */
export function parseRecord(text, kind) {
	const record = parse(text, `kleroterion/v2 ${kind}`, KINDS[kind]);
	return record && { kind, ...record };
}

// --- v1 ---

function draw1(lines) {
	const r = { seedCommit: lines.bytes("seed-commit sha256", 32), serverSeed: lines.bytes("server-seed", 32) };
	r.tickets = lines.number("tickets");
	r.root = lines.bytes("root", 32);
	r.aggregate = lines.bytes("aggregate", 32);
	r.entropy = unhex(lines.line(`entropy ((?:[0-9a-f]{2}){1,${ENTROPY_MAX}})`)[0]);
	const [by, at] = lines.line(`entropy-by ${hexOf(16)} ${U64}`);
	Object.assign(r, { entropyBy: by, entropyAt: number(at), drawnAt: lines.number("drawn-at") });
	r.drawKey = lines.bytes("draw-key", 32);
	r.winners = picks(lines, "winner", 0, PICKS1_MAX);
	r.reserves = picks(lines, "reserve", r.winners.length, PICKS1_MAX);
	demand(r.winners.length >= 1);
	return r;
}

/** The record of a v1 draw; its times are Unix milliseconds. */
export const parseRecord1 = (text) => parse(text, "kleroterion/v1 draw", draw1);
