// Trust policies (c2sp.org/tlog-policy): which logs, which witnesses, and how many of them must have seen
// a checkpoint. Groups name earlier ones only.

import { equal, utf8 } from "./bytes.js";
import { parseLogKey, parseWitnessKey, sameKey } from "./note.js";
import { cosigned } from "./tlog.js";

const EACH_MAX = 32, TEXT_MAX = 65536, NAME_MAX = 255, WORDS_MAX = 3 + 2 * EACH_MAX;

class Wrong extends Error {}
const demand = (holds) => {
	if (!holds)
		throw new Wrong();
};

class Policy {
	constructor() {
		this.logs = [];
		this.witnesses = []; // {name, key}
		this.groups = []; // {name, members, threshold}
		this.quorum = undefined; // a name, null for none
		this.taken = new Set(); // names that are of a group
	}

	knows(name) {
		return this.witnesses.some((w) => w.name === name) || this.groups.some((g) => g.name === name);
	}

	newName(name) {
		demand(utf8(name).length <= NAME_MAX && name !== "none" && !this.knows(name));
		return name;
	}

	async log(words) {
		demand(words.length >= 1 && words.length <= 2 && this.logs.length < EACH_MAX);
		const key = await parseLogKey(words[0]);
		demand(key !== null && !this.logs.some((l) => sameKey(l, key)));
		this.logs.push(key);
	}

	async witness(words) {
		demand(words.length >= 2 && words.length <= 3 && this.witnesses.length < EACH_MAX);
		const key = await parseWitnessKey(words[1]);
		demand(key !== null && !this.witnesses.some((w) => equal(w.key.pub, key.pub)));
		this.witnesses.push({ name: this.newName(words[0]), key });
	}

	async group([name, threshold, ...members]) {
		demand(members.length >= 1 && this.groups.length < EACH_MAX);
		const count = { any: "1", all: String(members.length) }[threshold] ?? threshold;
		demand(/^[1-9][0-9]*$/.test(count) && BigInt(count) <= members.length);
		this.newName(name);
		for (const m of members) {
			demand(this.knows(m) && !this.taken.has(m));
			this.taken.add(m);
		}
		this.groups.push({ name, members, threshold: Number(count) });
	}

	async setQuorum(words) {
		demand(words.length === 1 && this.quorum === undefined);
		demand(words[0] === "none" || this.knows(words[0]));
		this.quorum = words[0] === "none" ? null : words[0];
	}

	async line(text) {
		demand(!/[\x00-\x08\x0b-\x1f\x7f]/.test(text));
		const words = text.split(/[ \t]+/).filter((w) => w !== "");
		if (words.length === 0 || words[0].startsWith("#"))
			return;
		demand(words.length <= WORDS_MAX);
		const rules = new Map([["log", this.log], ["witness", this.witness], ["group", this.group], ["quorum", this.setQuorum]]);
		demand(rules.has(words[0]));
		await rules.get(words[0]).call(this, words.slice(1));
	}

	/** The names of the witnesses that cosigned a note until then; null when one did so wrongly. */
	async seen(note, until) {
		const names = new Set();
		for (const w of this.witnesses) {
			const at = await cosigned(note, w.key);
			if (at === false)
				return null;
			if (at !== null && at <= until)
				names.add(w.name);
		}
		return names;
	}

	/** Are they enough? */
	met(seen) {
		const have = new Set(seen);
		for (const g of this.groups)
			if (g.members.filter((m) => have.has(m)).length >= g.threshold)
				have.add(g.name);
		return this.quorum === null || have.has(this.quorum);
	}
}

/** {policy}, or {line}: the number of the one with the trouble. */
export async function parsePolicy(text) {
	const policy = new Policy(), lines = text.split("\n");
	let at = 0;
	try {
		demand(utf8(text).length <= TEXT_MAX);
		while (at < lines.length - 1)
			await policy.line(lines[at++]);
		at += lines.at(-1) === "" ? 0 : 1;
		demand(lines.at(-1) === "" && policy.quorum !== undefined);
	} catch (e) {
		if (!(e instanceof Wrong))
			throw e;
		return { line: at };
	}
	return { policy };
}
