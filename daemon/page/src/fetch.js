// A raffle's proof and a ticket's leaf from the site that served this page; a page from a file asks nobody. What
// comes is judged as what a reader gives.

import { hex } from "./bytes.js";
import { BUNDLE_MAX } from "./check.js";
import { LEAF } from "./leaf.js";
import { parseProof } from "./tlog.js";

const UUID = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/;

/** What cannot be fetched; the message is for the reader. */
export class NotFetched extends Error {}

/** The raffle's id in its one form, null when it is none. */
export function raffleId(text) {
	const m = UUID.exec(text.trim().toLowerCase());
	return m && m.slice(1).join("-");
}

/** The raffle that the page's address names: /verify?raffle=<id> or /verify#<id>; null for none. */
export const raffleAsked = () => raffleId(new URLSearchParams(location.search).get("raffle") ?? location.hash.slice(1));

/** Was the page served by a site, and not opened from a file? */
export const isServed = () => /^https?:$/.test(location.protocol);

async function readAll(response, max = BUNDLE_MAX) {
	const reader = response.body.getReader(), parts = [];
	let size = 0;
	for (let part = await reader.read(); !part.done; part = await reader.read()) {
		size += part.value.length;
		if (size > max) {
			await reader.cancel();
			throw new NotFetched("The proof is larger than this page reads: use klero-verify.");
		}
		parts.push(part.value);
	}
	return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const PAUSE = "This site asks for a pause: try again in a minute.";
const OF_PROOFS = {
	404: "This site knows no raffle of that number.",
	409: "That raffle has no proof: it is not drawn, or was called off.",
	429: PAUSE,
	503: "The proof is not ready: try again in a moment.",
};
const OF_LOGS = { 404: "This site has no such ticket in its lists.", 429: PAUSE };

async function get(path, type, refusals, max) {
	if (!isServed())
		throw new NotFetched("This page was opened from a file, so there is no site to ask. Give it what you have yourself.");
	let response;
	try {
		response = await fetch(path,
			{ credentials: "omit", redirect: "error", cache: "no-store", referrerPolicy: "no-referrer", headers: { Accept: type } });
	} catch {
		throw new NotFetched("This site could not be reached.");
	}
	if (!response.ok)
		throw new NotFetched(refusals[response.status] ?? `This site refused (${response.status}).`);
	return readAll(response, max);
}

export const fetchProof = (id) => get(`/api/v1/raffles/${id}/proof`, "application/json", OF_PROOFS);

// --- entry bundles (c2sp.org/tlog-tiles) ---

const WIDTH = 256n;
const TICKETS = /\/r\/([0-9a-f]{32})\n([0-9]{1,19})\n/;

/** "x001/x234/067" of 1234067 */
function tileNumber(n) {
	const groups = n.toString().padStart(Math.ceil(n.toString().length / 3) * 3, "0").match(/.{3}/g);
	return groups.map((g, i) => (i < groups.length - 1 ? `x${g}` : g)).join("/");
}

/** The ticket that a receipt is of, as hex, from this site's log. */
export async function fetchLeaf(receipt) {
	const proof = parseProof(receipt), m = proof && TICKETS.exec(proof.note);
	if (!m || proof.index >= BigInt(m[2]))
		throw new NotFetched("The receipt is not of a raffle's ticket list.");
	const n = proof.index / WIDTH, left = BigInt(m[2]) - n * WIDTH;
	const path = `/r/${raffleId(m[1])}/tile/entries/${tileNumber(n)}${left < WIDTH ? `.p/${left}` : ""}`;
	const bundle = await get(path, "application/octet-stream", OF_LOGS, Number(WIDTH) * (2 + LEAF));
	const at = Number(proof.index % WIDTH) * (2 + LEAF) + 2;
	return hex(bundle.subarray(at, at + LEAF));
}
