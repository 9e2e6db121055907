// What checking a proof bundle of either format needs: the members of its JSON objects, all known and all
// there, and a refusal that says in one line what does not agree.

import { unhex, utf8 } from "./bytes.js";
import { JsonError, integer, parseJson } from "./json.js";

const WHY_MAX = 199;

/** A step failed; the message is the one line. */
export class Refused extends Error {
	constructor(why) {
		// names may come from the bundle: nothing but ASCII is shown of them
		super(Array.from(utf8(why).subarray(0, WHY_MAX), (b) => (b < 0x20 || b > 0x7e ? "?" : String.fromCharCode(b))).join(""));
	}
}

export const demand = (holds, why) => {
	if (!holds)
		throw new Refused(why);
};

const JSON_WHY = {
	twice: (at) => `the same member comes twice, at byte ${at}`,
	limit: (at) => `deeper, longer or of more values than a bundle has, at byte ${at}`,
	format: (at) => `not a JSON text in UTF-8, at byte ${at}`,
};

export function readJson(bytes, tokens) {
	try {
		return parseJson(bytes, tokens);
	} catch (e) {
		if (!(e instanceof JsonError))
			throw e;
		throw new Refused(e.ended ? "the file ends in the middle of the JSON text: truncated" : JSON_WHY[e.why](e.at));
	}
}

/**
 * The nodes of an object's members by their names; types says of each which type or types it may have.
 * None may be missing, none unknown.
 */
export function members(node, what, types) {
	demand(node.type === "object", `${what} is not an object`);
	const names = Object.keys(types);
	for (const name of names) {
		const m = node.members.get(name);
		demand(m !== undefined, `${what} has no member "${name}"`);
		demand(types[name].split("|").includes(m.type), `"${name}" of ${what} is of the wrong type`);
	}
	demand(node.members.size === names.length, `${what} has a member that this format does not know`);
	return Object.fromEntries(names.map((name) => [name, node.members.get(name)]));
}

export function hexMember(node, what, n) {
	const bytes = node.plain ? unhex(node.value, n) : null;
	demand(bytes !== null, `${what} is not ${n} bytes in hex`);
	return bytes;
}

export function numberMember(node, what) {
	const v = integer(node);
	demand(v !== null && v >= 0n, `${what} is not a number from 0`);
	return v;
}

/** The value of the member "format" when the document is an object that has one. */
export const formatOf = (node) => (node.type === "object" ? node.members.get("format")?.value : undefined);
