// Who saw the records of a v2 bundle, and when: witnesses by their cosignatures (DRAW.md section 6), authorities by
// RFC 3161 time stamps.

import { unbase64 } from "./bytes.js";
import { demand, members } from "./bundle.js";
import { before, firstOf } from "./step2_beacons.js";
import { splitNote } from "./note.js";
import { stampTime } from "./stamp.js";

const EVER = 1n << 64n, LIST_MAX = 1000, TOKEN_MAX = 65536;

/**
 * A policy without a quorum claims nothing. One that has it asks that enough witnesses have seen each of the records
 * and the tickets, the close record before anybody could know the first value, and an amend before anybody could
 * know the first one of the terms that it changed.
 */
export async function checkWitnesses(c) {
	let met = true;
	const enough = async (note, what, until) => {
		const seen = await c.policy.seen(note, until);
		demand(seen !== null, `a witness's cosignature of the ${what} is wrong`);
		met = c.policy.met(seen) && met;
		return seen;
	};
	const recordBy = (record, until = EVER) => enough(record.proof.note, record.kind, until);
	if (c.note !== null)
		await enough(c.note, "tickets", EVER);
	for (const record of [c.open, c.close, c.draw, c.abort].filter(Boolean)) {
		const seen = await recordBy(record, record.kind === "close" && c.draw !== null ? before(c, c.first) : EVER);
		if (record.kind === (c.draw !== null ? "close" : "abort"))
			c.seen = [...seen];
	}
	for (const [i, amend] of c.amends.entries())
		await recordBy(amend, before(c, await firstOf(c, c.amends[i - 1] ?? c.open)));
	for (const forfeit of c.forfeits)
		await recordBy(forfeit);
	if (c.policy.quorum === null)
		return;
	c.claimed.add("witnessed");
	if (met)
		c.levels.add("witnessed");
	else
		c.lacking ||= "not enough witnesses saw the records, and the close record in time";
}

/**
 * That a token is over the close record's checkpoint is checked here; whose it is, is not: this page judges no chains
 * of certificates, and knows no authority.
 */
export async function checkStamps(c) {
	const { items } = c.at.timestamps;
	demand(items.length <= LIST_MAX, `more than ${LIST_MAX} time stamps`);
	for (const item of items) {
		const at = members(item, "a time stamp", { token: "string", certificates_pem: "string" });
		const der = unbase64(at.token.value), note = splitNote(c.close.proof.note);
		const stamp = der !== null && der.length <= TOKEN_MAX && note !== null ? await stampTime(der, note.text) : null;
		demand(stamp !== null, "a time stamp that is no RFC 3161 token");
		demand(stamp.over, "a time stamp is not over the close record's checkpoint, or not by a trusted authority");
		c.lacking ||= "time stamp not checked: no authority is trusted";
	}
	if (items.length > 0)
		c.claimed.add("time-stamped");
}
