// A raffle's proof from the site that served this page; a page from a file asks nobody.

import { BUNDLE_MAX } from "./check.js";

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

async function readAll(response) {
	const reader = response.body.getReader(), parts = [];
	let size = 0;
	for (let part = await reader.read(); !part.done; part = await reader.read()) {
		size += part.value.length;
		if (size > BUNDLE_MAX) {
			await reader.cancel();
			throw new NotFetched("The proof is larger than this page reads: use klero-verify.");
		}
		parts.push(part.value);
	}
	return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const REFUSALS = {
	404: "This site knows no raffle of that number.",
	409: "That raffle is not drawn yet, so there is no proof.",
	429: "This site asks for a pause: try again in a minute.",
	503: "The proof is not ready: try again in a moment.",
};

export async function fetchProof(id) {
	if (!/^https?:$/.test(location.protocol))
		throw new NotFetched("This page was opened from a file, so there is no site to ask. Give it the proof as a file.");
	let response;
	try {
		response = await fetch(`/api/v1/raffles/${id}/proof`,
			{ credentials: "omit", redirect: "error", cache: "no-store", referrerPolicy: "no-referrer", headers: { Accept: "application/json" } });
	} catch {
		throw new NotFetched("This site could not be reached.");
	}
	if (!response.ok)
		throw new NotFetched(REFUSALS[response.status] ?? `This site refused (${response.status}).`);
	return readAll(response);
}
