// Checks a v2 proof bundle (DRAW.md sections 6 to 10), step by step. Nothing in the file is trusted but, when the
// reader gives no key, the name of the signer. The steps and what they say when something does not agree are
// klero-verify's; the code is not. The longer steps have files of their own.

import { equal } from "./bytes.js";
import { demand, formatOf, hexMember, members } from "./bundle.js";
import { kdfBy } from "./crypt.js";
import { SEED_COMMIT } from "./draw.js";
import { logKeyOf, parseLogKey, sameKey } from "./note.js";
import { parsePolicy } from "./policy.js";
import { PICKS_MAX } from "./record.js";
import { checkBeacons, checkTimes } from "./step2_beacons.js";
import { checkLogged, checkRecords } from "./step2_records.js";
import { checkStamps, checkWitnesses } from "./step2_seen.js";
import { checkDraw, checkWinners } from "./step2_winners.js";
import { openCheckpoint } from "./tlog.js";

export const FORMAT2 = "kleroterion-proof/2";
export const TOKENS2 = 2 * PICKS_MAX * 11 + 100000;

// --- bundle ---

const RECORDS = ["open", "close", "draw", "abort"];

/** Which members go together: a draw or an abort ends it, and what has a text has a proof. */
function checkEnding({ at }) {
	const has = {};
	for (const word of RECORDS) {
		has[word] = at[word].type !== "null";
		demand(has[word] === (at[`${word}_proof`].type !== "null"), `of "${word}" and "${word}_proof" one is null, and not the other`);
	}
	demand(!has.draw || !has.abort, "the raffle was both drawn and aborted");
	demand(has.draw || has.abort, "the raffle was neither drawn nor aborted");
	demand(!has.draw || has.close, "the raffle was drawn and not closed");
	demand(has.close === (at.tickets_checkpoint.type !== "null"), 'of "close" and "tickets_checkpoint" one is null, and not the other');
	const lists = [at.winners, at.passed, at.forfeits, at.beacons];
	demand(!has.abort || lists.every((list) => list.items?.length === 0), "a raffle that was aborted has no winners");
	demand(has.close || at.timestamps.items.length === 0, "time stamps of a close that was not");
	return has.draw;
}

function readBundle(c) {
	const format = formatOf(c.root);
	demand(format === undefined || format === FORMAT2, `the format is not ${FORMAT2}`);
	c.at = members(c.root, "the bundle", {
		format: "string", operator_vkey: "string", tickets_vkey: "string", policy: "string", open: "string",
		close: "string|null", draw: "string|null", abort: "string|null", open_proof: "string", close_proof: "string|null",
		draw_proof: "string|null", abort_proof: "string|null", amends: "array", forfeits: "array",
		tickets_checkpoint: "string|null", winners: "array", passed: "array|null", beacons: "array", timestamps: "array",
		escrow_bundle_sha256: "string|null", software: "object",
	});
	c.claimed = new Set(checkEnding(c) ? ["reproduced", "signed", "logged", "beacon-verified"] : ["signed", "logged"]);
	demand(c.at.winners.items.length <= PICKS_MAX, `more than ${PICKS_MAX} winners`);
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
	const trusted = c.trust.operatorKey && await logKeyOf(c.trust.operatorKey);
	demand(!trusted || sameKey(trusted, c.operatorKey),
		`the bundle names ${c.operatorKey.text} as its operator's log, not the trusted key of ${trusted?.name}`);
}

// --- the ticket log ---

async function checkTickets(c) {
	c.note = null;
	if (c.close === null)
		return;
	c.note = c.at.tickets_checkpoint.value;
	const { state, checkpoint } = await openCheckpoint(c.note, c.ticketsKey);
	demand(state === "ok", `the ticket log's checkpoint is not signed by ${c.ticketsKey.name}`);
	c.tickets = checkpoint;
	demand(checkpoint.size === c.close.tickets && equal(checkpoint.root, c.close.root),
		"the ticket log's last checkpoint is not the one that the close record names");
}

// --- commitments ---

function checkEscrow({ at, open }) {
	const node = at.escrow_bundle_sha256, none = open.escrow.n === 0n;
	if (node.type === "null") {
		demand(none, "the open record's escrow is left out");
		return;
	}
	const said = hexMember(node, "escrow_bundle_sha256", 32);
	demand(!none && equal(said, open.escrow.hash), "the escrow is not the open record's");
}

async function checkCommit(c) {
	const { seedCommit, raffle } = c.open;
	demand(!c.trust.commit || equal(c.trust.commit, seedCommit),
		"the record's seed commitment is not the one published before the sale");
	if (c.draw !== null) {
		const kdf = await kdfBy(c.draw.serverSeed);
		demand(equal(await kdf(SEED_COMMIT, raffle), seedCommit), "the server seed is not the one that was committed to");
	}
	checkEscrow(c);
}

// --- all steps ---

/** name: klero-verify's word; levels: what is shown when it and those before hold. */
export const STEPS2 = [
	{ name: "bundle", run: readBundle },
	{ name: "keys", run: readKeys },
	{ name: "records", run: checkRecords },
	{ name: "operator log", run: checkLogged, levels: ["signed", "logged"] },
	{ name: "ticket log", run: checkTickets },
	{ name: "commitment", run: checkCommit },
	{ name: "winners", run: checkWinners },
	{ name: "draw", run: checkDraw },
	{ name: "times", run: checkTimes },
	{ name: "beacons", run: checkBeacons },
	{ name: "witnesses", run: checkWitnesses },
	{ name: "time stamps", run: checkStamps },
];
