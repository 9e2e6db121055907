// What happened, in order, as far as the checks held: cards on a line of time for buyers, with the exact
// values for experts on demand.

import { equal, hex } from "./bytes.js";
import { el } from "./dom.js";
import { quicknet } from "./drand.js";
import { mix, stone, value } from "./pictures.js";
import { number, plural, seconds, span, stamp, time, uuid } from "./say.js";

const ROWS = 12, ROWS_MAX = 200;

const bytes = (text) => el("code", { class: "bytes", tabindex: "0" }, text);
const exact = (summary, ...children) => el("details", {}, el("summary", {}, summary), children);
const facts = (list) => el("dl", { class: "facts" }, list.map(([name, ...v]) => [el("dt", {}, name), el("dd", {}, v)]));
const card = (when, title, ...children) =>
	el("li", {}, el("div", { class: "card" }, when && el("span", { class: "when" }, when), el("h3", {}, title), children));
const gap = (text) => el("li", { class: "gap" }, el("p", { class: "between" }, text));

// --- v2 ---

const beaconName = (b) => (b.kind === "drand" ? `round ${b.round} of drand` : `pulse ${b.pulse.pulse} of NIST’s beacon`);

function promised(b) {
	if (b.kind === "drand")
		return `drand’s round ${b.round}`;
	return `NIST’s beacon at ${time(b.at)}`;
}

function opened(c) {
	const { open } = c;
	const rules = [
		["Prizes", plural(open.winners, "winner"), open.reserves > 0n ? `, ${plural(open.reserves, "reserve")}` : null],
		["A person can win", open.dedupe === "holder" ? "once" : "with each ticket"],
		["Sales end", seconds(open.salesClose)],
		["Chance comes from", open.beacons.map(promised).join(" and ")],
	];
	if (open.escrow.n > 0n)
		rules.push(["If nobody draws", `any ${open.escrow.m} of ${open.escrow.n} officers can publish the seed`]);
	return card("Before the first ticket", "The rules were fixed and a secret was sealed",
		el("p", {}, "The operator’s key store made a secret number, the seed, and published a lock on it: whoever opens it "
			+ "later must show the very same number. Which public dice would be used was written down too."),
		value("The lock on the seed", open.seedCommit), facts(rules),
		exact("The record, byte by byte", bytes(c.at.open.value)));
}

function sold(c) {
	const { close } = c;
	return card(seconds(close.at), `Sales ended: ${plural(close.tickets, "ticket")}`,
		el("p", {}, "The list of all tickets was closed under one fingerprint. Adding, removing or reordering a single "
			+ "ticket would give another one."),
		value("The fingerprint of the ticket list", close.root),
		exact("The record, byte by byte", bytes(c.at.close.value)));
}

const QUICKNET = "quicknet";
const SOURCES = {
	nist2: "The beacon of the United States’ National Institute of Standards and Technology gives a value each minute.",
	drand: "A chain of drand’s kind gives a value every few seconds; its members can know or choose one only together.",
	quicknet: "drand’s quicknet is run by many independent organisations, which can know or choose a value only together.",
};

function signedBy(b, own) {
	if (b.known === undefined)
		return "Its signature is not shown to be right.";
	if (!b.known)
		return "Its source is not one that this page knows, so its signature proves nothing yet: say above whom you trust.";
	return own ? "Its signature is right, under a key that this page knows." : "Its signature is right, under the key that you gave.";
}

function cast(b) {
	const name = b.kind === "drand" ? "The public dice were cast: drand" : "The public dice were cast: NIST";
	const own = b.kind === "drand" && b.chain.id === QUICKNET && equal(b.chain.publicKey, quicknet.publicKey);
	return card(seconds(b.at), name, el("p", {}, SOURCES[own ? QUICKNET : b.kind], " ", signedBy(b, own)),
		value(beaconName(b), b.kind === "drand" ? b.signature : b.output),
		exact("Exact values", facts(b.kind === "drand"
			? [["chain", el("code", {}, hex(b.chainHash))], ["round", String(b.round)], ["signature", el("code", {}, hex(b.signature))]]
			: [["chain", String(b.pulse.chain)], ["pulse", String(b.pulse.pulse)], ["output", el("code", {}, hex(b.output))],
				["certificate", el("code", {}, hex(b.pulse.certificate))]])));
}

function placeRow(c, p, i) {
	const left = c.close.tickets - BigInt(i);
	const [kind, words] = p.passed ? ["passed", "had won already: passed over"] : p.kind;
	return el("tr", { class: kind }, el("td", {}, words), el("td", { class: "n" }, number(p.index)),
		el("td", {}, el("code", {}, p.word.toString(16).padStart(16, "0"))),
		el("td", { class: "n" }, number(left)), el("td", { class: "n" }, number(p.word % left)));
}

function placeTable(c, places) {
	const table = (rows) => el("table", {}, el("thead", {}, el("tr", {}, ["Drawn as", "Ticket", "Random number", "Tickets left", "Remainder"]
		.map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, rows));
	const scroll = (rows, label) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table(rows));
	const rows = places.slice(0, ROWS_MAX).map((p, i) => placeRow(c, p, i));
	const more = rows.splice(ROWS);
	return [scroll(rows, "The draw, place by place"),
		more.length > 0 ? exact(`${plural(more.length, "more place")}`, scroll(more, "More places")) : null,
		places.length > ROWS_MAX ? el("p", { class: "hint" }, `All ${number(places.length)} were checked; the first ${ROWS_MAX} are shown.`) : null];
}

/** What each place of the shuffle was: winner 1, reserve 2, … */
function named(c, places) {
	const winners = c.draw.winners.length;
	let won = 0;
	return places.map((p) => {
		if (p.passed)
			return p;
		won++;
		const winner = won <= winners, pos = winner ? won : won - winners;
		return { ...p, winner, pos, kind: [winner ? "winner" : "reserve", `${winner ? "winner" : "reserve"} ${pos}`] };
	});
}

/** Place by place; of a proof that is too small for that, what shows it. */
function chosen(c, places) {
	if (c.unlisted)
		return el("p", { class: "hint" }, "Each holder could win only once, and so many tickets of holders who had won already were passed "
			+ "over that this proof does not list them. That the others were rightly drawn, klero-verify --log shows from all tickets.");
	return exact("How each ticket was chosen", el("p", { class: "hint" }, "The remainder of the random number, divided by the tickets "
		+ "that are left, says how far to go. Numbers that would favour some tickets are thrown away."), placeTable(c, places));
}

function shuffled(c, verified) {
	const places = named(c, c.unlisted ? c.winners : c.places), picks = places.filter((p) => !p.passed);
	const parts = [["the seed", c.draw.serverSeed], ["the ticket list", c.close.root],
		...c.draw.beacons.map((b) => [b.kind === "drand" ? "drand" : "NIST", b.signature ?? b.output])];
	return el("li", { class: "key" }, el("div", { class: "card" }, el("h3", {}, "The lock was opened and the tickets were shuffled"),
		el("p", {}, "The seed that came out is the one that was sealed. Seed, rules, ticket list and dice together give one key",
			verified ? ": nobody could know it before, and nobody could choose it" : "", ". The key gives a row of random numbers, "
			+ "and each of them takes the next ticket out of the stone."),
		mix(parts, ["the key of the draw", c.draw.drawKey]), stone(c.close.tickets, picks),
		chosen(c, places), exact("The record, byte by byte", bytes(c.at.draw.value))));
}

function winnersOf(c) {
	const row = (w, pos) => el("tr", {}, el("td", {}, String(pos)), el("td", { class: "n" }, number(w.index)), el("td", {}, el("code", {}, uuid(w.ticket))),
		el("td", {}, stamp(w.leaf.issued)));
	const table = (list) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Tickets drawn" }, el("table", {},
		el("thead", {}, el("tr", {}, ["Place", "Ticket", "Ticket’s id", "Bought (UTC)"].map((t) => el("th", { scope: "col" }, t)))),
		el("tbody", {}, list.slice(0, ROWS_MAX).map((w, i) => row(w, i + 1)))));
	const n = c.draw.winners.length, winners = c.winners.slice(0, n), reserves = c.winners.slice(n);
	return el("li", { class: "key" }, el("div", { class: "card" },
		el("h3", {}, n === 1 ? `The winner is ticket ${number(winners[0].index)}` : `The ${number(n)} winners`),
		el("p", {}, "Each of these tickets is shown to be in the list that was closed before the dice were cast."), table(winners),
		n > ROWS_MAX ? el("p", { class: "hint" }, `The first ${ROWS_MAX} are shown.`) : null,
		reserves.length > 0 ? exact(plural(reserves.length, "reserve"), table(reserves)) : null, lost(c)));
}

function called(c) {
	return card(seconds(c.abort.at), "The raffle was called off",
		el("p", {}, "Nothing was drawn, and nothing can be drawn any more: the record says so for good. What was paid is to be paid back."),
		facts([["The reason given", c.abort.reason]]), value("The fingerprint of the statement", c.abort.statement),
		exact("The record, byte by byte", bytes(c.abort.text)));
}

function changed(amend) {
	return card("Later", "The rules were changed, in public",
		el("p", {}, "A record that changes dates or dice stays beside the first one for good. It is allowed before the first "
			+ "ticket, or to a later end with a later cast."),
		facts([["Sales end", seconds(amend.salesClose)], ["Chance comes from", amend.beacons.map(promised).join(" and ")]]),
		exact("The record, byte by byte", bytes(amend.text)));
}

/** Prizes that their winners lost, and who has them now. */
function lost(c) {
	if (c.forfeits.length === 0)
		return null;
	const winners = c.draw.winners.length;
	const holder = (at) => (at === null ? "nobody: there is no reserve left" : at < winners ? `winner ${at + 1}` : `reserve ${at - winners + 1}`);
	const row = (f) => el("tr", {}, el("td", {}, number(f.pos)), el("td", {}, f.rule), el("td", {}, stamp(f.at * 1000n)), el("td", {}, holder(c.standing[Number(f.pos) - 1])));
	return [el("p", { class: "after" }, "Prizes were forfeited later; the next reserve moves up, and nothing is drawn again."),
		el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Forfeited prizes" }, el("table", {},
			el("thead", {}, el("tr", {}, ["Prize", "Why", "When (UTC)", "It is now of"].map((t) => el("th", { scope: "col" }, t)))),
			el("tbody", {}, c.forfeits.slice(0, ROWS_MAX).map(row))))];
}

function between(c) {
	const s = c.first - c.terms.salesClose;
	const seen = c.seen?.length > 0 ? ` Meanwhile ${c.seen.length === 1 ? "a witness has" : `${c.seen.length} witnesses have`} put the closed list on record.` : "";
	return gap(`${span(s)} went by from the end of sales until the dice were cast.${seen}`);
}

const STORY2 = [
	["operator log", (c) => [opened(c), c.amends.map(changed)]],
	["ticket log", (c) => c.close && sold(c)],
	["ticket log", (c) => c.abort && called(c)],
	["times", (c) => c.draw && [between(c), ...[...c.beacons].sort((a, b) => (a.at < b.at ? -1 : 1)).map(cast)]],
	["draw", (c, r) => c.draw && shuffled(c, r.verified)],
	["time stamps", (c) => c.draw && winnersOf(c)],
];

// --- v1 ---

function reproduced(c) {
	const { draw } = c, n = draw.winners.length;
	const picks = c.places.map((p, i) => ({ ...p, winner: i < n, pos: i < n ? i + 1 : i - n + 1 }));
	return [
		card("When sales opened", "A secret was sealed", value("The lock on the seed", draw.seedCommit)),
		card("When sales ended", `${plural(draw.tickets, "ticket")} in the list`, value("The fingerprint of the ticket list", draw.root)),
		card(time(draw.entropyAt), "The operator typed in the chance",
			el("p", {}, "This older kind of draw takes its randomness from a person, after sales: whoever types it in can try many and "
				+ "keep the one he likes. That the result follows from it shows no more than that."), value("What was typed in", draw.entropy)),
		card(time(draw.drawnAt), `Drawn: ${plural(n, "winner")}`, stone(draw.tickets, picks),
			exact("The record, byte by byte", bytes(c.text))),
	];
}

const STORY1 = [["winners", (c) => reproduced(c)]];

/** The nodes for a result: a list of each part whose step held. Who won, only a proof that holds says. */
export function story(result, held) {
	const parts = (result.version === 2 ? STORY2 : STORY1).filter(([step]) => held.has(step)).map(([, tell]) => tell(result.c, result));
	if (parts.length === 0)
		return [];
	const list = el("ol", { class: "story" }, parts);
	return result.held ? [list] : [el("p", { class: "told" }, "What the proof says, as far as its checks held:"), list];
}
