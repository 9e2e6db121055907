// A result on the page: the verdict, the story, the list of checks. The verdict comes last: when anything here
// fails, there is none that is good.

import { stepNames } from "./check.js";
import { at, el } from "./dom.js";
import { plural } from "./say.js";
import { leadOf } from "./step2_beacons.js";
import { story } from "./story.js";
import { LEVELS, MEANING, NOTHING } from "./words.js";

const MARKS = { ok: ["✓", "holds"], fail: ["✗", "does not hold"], half: ["!", "is not shown"], wait: ["·", "not looked at"],
	none: ["–", "nothing to check"] };

/** kind: good, half, bad or empty for none of them. */
export function verdict(node, kind, title, ...lines) {
	node.className = `verdict ${kind}`;
	node.replaceChildren(el("h2", {}, title), ...lines.filter(Boolean).map((l) => (typeof l === "string" ? el("p", {}, l) : l)));
	node.hidden = false;
}

function checkLine(name, version, kind, why) {
	const [mark, words] = MARKS[kind], meaning = kind === "none" ? NOTHING[name] : MEANING[version][name];
	return el("li", { class: kind, "data-step": name }, el("span", { class: "mark", role: "img", "aria-label": words }, mark),
		el("div", {}, el("p", {}, el("span", { class: "name" }, name), " ", meaning), why ? el("p", { class: "why" }, why) : null));
}

const OF_A_DRAW = ["commitment", "winners", "draw", "times", "beacons"];

/** Does this proof have nothing that the check could look at? Then that it holds says nothing. */
function empty(name, { version, c }) {
	if (version === 1)
		return false;
	if (c.at?.abort?.type === "string" && OF_A_DRAW.includes(name) || name === "ticket log" && c.close === null)
		return true;
	return name === "witnesses" ? c.policy?.quorum === null : name === "time stamps" && c.at?.timestamps?.items.length === 0;
}

/** Which check a lacking level belongs to. */
function lackingAt(r) {
	const missing = (level) => r.c.claimed.has(level) && !r.levels.includes(level);
	return [["reproduced", "draw"], ["beacon-verified", "beacons"], ["witnessed", "witnesses"],
		["time-stamped", "time stamps"]].find(([level]) => missing(level))?.[1];
}

function kindOf(name, i, names, r) {
	const at = names.indexOf(r.step), good = empty(name, r) ? "none" : "ok";
	if (!r.held)
		return i < at ? good : i === at ? "fail" : "wait";
	return r.why !== null && name === lackingAt(r) ? "half" : good;
}

/** The checks that a result has, and those still to come. */
export function showChecks(r) {
	const names = stepNames[r.version];
	at("checks").replaceChildren(...names.map((name, i) => {
		const kind = kindOf(name, i, names, r);
		return checkLine(name, r.version, kind, kind === "fail" || kind === "half" ? r.why : null);
	}));
}

export const heldSteps = (r) => new Set(r.held ? stepNames[r.version] : stepNames[r.version].slice(0, stepNames[r.version].indexOf(r.step)));

function levels(r) {
	const claimed = [...r.c.claimed];
	return el("ul", { class: "levels", "aria-label": "What is shown" },
		claimed.map((l) => el("li", { class: r.levels.includes(l) ? "" : "not" }, r.levels.includes(l) ? LEVELS[l] : `not shown: ${LEVELS[l]}`)));
}

function summary(r) {
	const { c } = r;
	if (c.abort)
		return `The reason given: ${c.abort.reason}.`;
	return `${plural(c.draw.winners.length, "winner")} of ${plural((c.close ?? c.draw).tickets, "ticket")}.`;
}

function speak(node, r) {
	if (!r.held)
		return verdict(node, "bad", "This proof does not hold", `The check “${r.step}” failed: ${r.why}.`,
			"Do not believe what it says. If it came from the operator, keep the file: it is evidence.");
	if (r.version === 1)
		return verdict(node, "half", "The draw can be reproduced, no more", `${summary(r)} ${r.label[0].toUpperCase()}${r.label.slice(1)}.`);
	if (!r.verified)
		return verdict(node, "half", r.c.abort ? "Called off as it says, but not all is shown" : "Drawn as it says, but not all is shown", `${summary(r)} No check failed, but one claim of the proof is not shown: ${r.why}.`, levels(r));
	return verdict(node, "good", r.c.abort ? "The raffle was called off, on record" : "The draw is proven", `${summary(r)} All checks held.`, levels(r));
}

/** What a reader should compare, because the proof can only say it of itself. */
function marks(r) {
	const { trust } = r.c, list = [];
	if (!trust.operatorKey && r.c.operatorKey)
		list.push(el("p", { class: "hint" }, "The signer is taken from the proof itself. Compare it with the key that the operator publishes: ",
			el("code", {}, r.c.operatorKey.text)));
	if (!trust.policy && r.c.policy)
		list.push(el("p", { class: "hint" }, r.c.policy.quorum === null
			? "No independent witnesses are named: that everybody was shown the same records, nobody outside vouches for."
			: "The witnesses are those that the proof itself names."));
	if (!trust.commit && r.held)
		list.push(el("p", { class: "hint" }, "Compare the lock on the seed with the one published before the sale."));
	if (trust.delay)
		list.push(el("p", { class: "hint" }, `You asked for ${trust.delay} seconds between the end of sales and the dice, and ${leadOf(trust.delay)} between the witnesses and the dice; the standard is 600 and 60.`));
	return list;
}

export function showResult(r) {
	const told = story(r, heldSteps(r)), notes = marks(r);
	showChecks(r);
	at("story").replaceChildren(...told);
	at("marks").replaceChildren(...notes);
	speak(at("verdict"), r);
}

/** Nothing is known: takes away whatever was shown. */
export function showFailure(why) {
	at("story").replaceChildren();
	at("marks").replaceChildren();
	at("checks").replaceChildren();
	verdict(at("verdict"), "bad", "This could not be checked", why);
}

export function showWork() {
	at("result").hidden = false;
	at("story").replaceChildren();
	at("marks").replaceChildren();
	at("checks").replaceChildren();
	verdict(at("verdict"), "", "Checking …", "On your device; this takes a moment.");
}
