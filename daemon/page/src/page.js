// The page: takes a proof by drop, file, paste or a raffle's number, and receipts; asks check.js and receipt.js,
// shows what they say.

import { utf8 } from "./bytes.js";
import { BUNDLE_MAX, check } from "./check.js";
import { at } from "./dom.js";
import { NotFetched, fetchLeaf, fetchProof, isServed, raffleAsked, raffleId } from "./fetch.js";
import { checkReceipt } from "./receipt.js";
import { showChecks, showFailure, showResult, showWork, verdict } from "./report.js";
import { number, plural, time, uuid } from "./say.js";
import { PROOF_HEAD } from "./tlog.js";
import { readTrust } from "./trust.js";

let trust = {};
let last = null; // the last proof's bytes
let drawn = null; // and what it says
let run = 0; // a newer one makes older ones silent

const pause = () => new Promise((done) => setTimeout(done));

async function checkBytes(bytes, own) {
	last = bytes;
	const result = await check(bytes, trust, async (step, c) => {
		showChecks({ version: c.version, step, held: false, why: null, levels: [], c });
		await pause();
		if (own !== run)
			throw new Error("another proof was given");
	});
	if (own !== run)
		return;
	showResult(result);
	drawn = result;
	if (result.held && result.version === 2)
		at("key").value = result.c.ticketsKey.text;
}

/** Reads and checks what get() gives; whatever fails on the way is said. */
async function take(get) {
	const own = ++run;
	drawn = null;
	showWork();
	at("result").focus({ preventScroll: true });
	at("result").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
	try {
		await pause();
		await checkBytes(await get(), own);
	} catch (e) {
		if (own === run)
			showFailure(e instanceof NotFetched ? e.message : `This page failed: ${String(e?.message ?? e)}`);
	}
}

async function fileBytes(file) {
	if (file.size > BUNDLE_MAX)
		throw new NotFetched("The file is larger than this page reads: use klero-verify.");
	return new Uint8Array(await file.arrayBuffer());
}

function takeText(text) {
	if (text.startsWith(PROOF_HEAD)) {
		at("proof").value = text;
		at("proof").focus();
		return;
	}
	take(async () => utf8(text));
}

// --- ways in ---

const on = (id, type, handle) => at(id).addEventListener(type, (e) => {
	e.preventDefault();
	handle(e);
});

at("file").addEventListener("change", (e) => {
	const [file] = e.target.files;
	if (file)
		take(() => fileBytes(file));
	// the same one may be given again
	e.target.value = "";
});

on("by-text", "submit", () => takeText(at("text").value));

on("by-raffle", "submit", () => {
	const id = raffleId(at("raffle").value);
	take(async () => {
		if (id === null)
			throw new NotFetched("That is not a raffle’s number: 32 hex digits, with dashes or without.");
		return fetchProof(id);
	});
});

document.addEventListener("paste", (e) => {
	const text = e.clipboardData?.getData("text") ?? "";
	if (/^(?:INPUT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "") || text.trim() === "")
		return;
	e.preventDefault();
	takeText(text);
});

document.addEventListener("dragover", (e) => {
	e.preventDefault();
	document.body.classList.add("over");
});
document.addEventListener("dragleave", (e) => {
	if (e.relatedTarget === null)
		document.body.classList.remove("over");
});
document.addEventListener("drop", (e) => {
	e.preventDefault();
	document.body.classList.remove("over");
	const file = e.dataTransfer?.files[0], text = e.dataTransfer?.getData("text") ?? "";
	if (file)
		take(() => fileBytes(file));
	else if (text !== "")
		takeText(text);
});

// --- what the reader knows ---

on("trust", "submit", async (e) => {
	const read = await readTrust(Object.fromEntries(new FormData(e.target)));
	for (const output of e.target.querySelectorAll("output")) {
		const [name] = output.htmlFor;
		output.className = read.trust[name] ? "good" : "";
		output.textContent = read.errors[name] ?? (read.trust[name] ? "used from now on" : "");
	}
	if (Object.keys(read.errors).length > 0)
		return;
	({ trust } = read);
	if (last !== null)
		take(async () => last);
});

// --- receipts ---

const FATES = {
	winner: (f) => `It won: winner ${number(f.pos)}.`,
	reserve: (f) => `It is reserve ${number(f.pos)}.`,
	moved: (f) => `It was reserve ${number(f.pos)} and moved up: prize ${number(f.prize)} is its own now.`,
	lost: (f) => `It was winner ${number(f.pos)}, and the prize was forfeited.`,
	aborted: () => "The raffle was called off: nothing was drawn.",
	passed: () => "It was drawn, but its holder had won already and could win only once.",
	none: () => "It took part in the draw that you checked above, and did not win.",
};

function showTicket(r) {
	const node = at("ticket");
	if (!r.ok)
		return verdict(node, "bad", "This receipt does not hold", `${r.why[0].toUpperCase()}${r.why.slice(1)}.`);
	const own = [r.said.holder && "It is yours.", r.said.seed && "It has your client seed."].filter(Boolean).join(" ");
	return verdict(node, "good", `Ticket ${number(r.leaf.index)} is in the list`,
		`Its id is ${uuid(r.leaf.ticket)}, bought ${time(r.leaf.issued)}; the signed list had ${plural(r.checkpoint.size, "ticket")}. ${own}`,
		r.fate ? FATES[r.fate.place](r.fate) : "Check the raffle’s draw above to see what became of it.");
}

on("by-receipt", "submit", async (e) => {
	const texts = Object.fromEntries(new FormData(e.target));
	try {
		if (texts.leaf.trim() === "" && isServed())
			at("leaf").value = texts.leaf = await fetchLeaf(texts.proof);
		showTicket(await checkReceipt(texts, drawn));
	} catch (error) {
		verdict(at("ticket"), "bad", "This could not be checked", String(error?.message ?? error));
	}
});

// --- the start ---

for (const type of ["error", "unhandledrejection"])
	addEventListener(type, (e) => {
		run++;
		drawn = null;
		at("result").hidden = false;
		showFailure(`This page failed: ${String(e.reason?.message ?? e.message ?? e.type)}`);
	});

function followAddress() {
	const id = raffleAsked();
	if (id === null)
		return;
	at("raffle").value = id;
	take(() => fetchProof(id));
}

if (isServed()) {
	addEventListener("hashchange", followAddress);
	followAddress();
} else {
	at("by-raffle").hidden = true;
	at("leaf-hint").hidden = true;
	at("save").hidden = true;
}
