// Strict JSON (RFC 8259) from bytes: grammar, UTF-8, depth, number of values and sizes of keys are
// bounded, a key that comes twice and a NUL are refused. Not JSON.parse(), which takes duplicate keys,
// and whose objects have a prototype: here an object is a Map, and numbers stay text.
//
// A node: {type, start, end, tokens} with bytes start to end of the text and how many values and keys it
// is made of; "object" has members (Map of nodes), "array" items, "string" value and plain (it was written
// without escapes), "number" text.

import { unutf8 } from "./bytes.js";

const DEPTH = 16;
const KEY_MAX = 1024;
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const QUOTE = 0x22, BACKSLASH = 0x5c;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const NUMBER_BYTES = new Set(Array.from("0123456789+-.eE", (c) => c.charCodeAt(0)));

/** why: "format", "twice" or "limit"; at: the offset; ended: the text ends too early. */
export class JsonError extends Error {
	constructor(why, at, ended = false) {
		super(`${why} at byte ${at}`);
		Object.assign(this, { why, at, ended });
	}
}

class Reader {
	constructor(bytes, tokens) {
		this.b = bytes;
		this.at = 0;
		this.tokens = 0;
		this.max = tokens;
	}

	fail(why = "format", at = this.at) {
		throw new JsonError(why, at, why === "format" && at >= this.b.length);
	}

	count() {
		if (this.tokens === this.max)
			this.fail("limit");
		this.tokens++;
	}

	space() {
		while (SPACE.has(this.b[this.at]))
			this.at++;
	}

	/** Takes one byte when it is this one. */
	take(c) {
		this.space();
		if (this.b[this.at] !== c.charCodeAt(0))
			return false;
		this.at++;
		return true;
	}

	value(depth) {
		this.space();
		const start = this.at, before = this.tokens;
		const node = this.node(depth);
		node.start = start;
		node.end = this.at;
		node.tokens = this.tokens - before;
		return node;
	}

	node(depth) {
		const c = String.fromCharCode(this.b[this.at] ?? 0);
		if (c === "{" || c === "[") {
			if (depth === DEPTH)
				this.fail("limit");
			this.count();
			this.at++;
			return c === "{" ? this.object(depth + 1) : this.array(depth + 1);
		}
		this.count();
		if (c === '"')
			return this.string();
		if (c === "-" || (c >= "0" && c <= "9"))
			return this.number();
		return this.word();
	}

	object(depth) {
		const members = new Map();
		if (this.take("}"))
			return { type: "object", members };
		do {
			this.space();
			const at = this.at;
			if (this.b[at] !== QUOTE)
				this.fail();
			this.count();
			const key = this.string();
			if (this.at - at - 2 > KEY_MAX)
				this.fail("limit", at);
			if (members.has(key.value))
				this.fail("twice", at + 1);
			if (!this.take(":"))
				this.fail();
			members.set(key.value, this.value(depth));
		} while (this.take(","));
		if (!this.take("}"))
			this.fail();
		return { type: "object", members };
	}

	array(depth) {
		const items = [];
		if (this.take("]"))
			return { type: "array", items };
		do
			items.push(this.value(depth));
		while (this.take(","));
		if (!this.take("]"))
			this.fail();
		return { type: "array", items };
	}

	/** Where the string that begins behind `from` has its closing quote, and whether it has escapes. */
	stringEnd(from) {
		let plain = true, i = from;
		for (; this.b[i] !== QUOTE; i++) {
			if (i >= this.b.length || this.b[i] < 0x20)
				this.fail("format", i);
			if (this.b[i] === BACKSLASH) {
				plain = false;
				i++;
			}
		}
		return [i, plain];
	}

	string() {
		const from = this.at + 1;
		const [end, plain] = this.stringEnd(from);
		const raw = unutf8(this.b.subarray(from, end));
		if (raw === null)
			this.fail("format", from);
		this.at = end + 1;
		return { type: "string", value: plain ? raw : this.unescape(raw, from), plain };
	}

	unescape(raw, at) {
		const text = raw.replace(/\\(?:u([0-9a-fA-F]{4})|(.?))/gsu, (_, unit, c) => {
			if (unit !== undefined)
				return unit === "0000" ? this.fail("format", at) : String.fromCharCode(parseInt(unit, 16));
			return Object.hasOwn(ESCAPES, c) ? ESCAPES[c] : this.fail("format", at);
		});
		// half a surrogate pair is no character
		if (/[\ud800-\udfff]/u.test(text))
			this.fail("format", at);
		return text;
	}

	number() {
		const from = this.at;
		while (NUMBER_BYTES.has(this.b[this.at]))
			this.at++;
		const text = String.fromCharCode(...this.b.subarray(from, Math.min(this.at, from + 4096)));
		if (this.at - from > 4096 || !NUMBER.test(text))
			this.fail("format", from);
		return { type: "number", text };
	}

	word() {
		for (const word of ["true", "false", "null"]) {
			const end = this.at + word.length;
			if (unutf8(this.b.subarray(this.at, end)) === word) {
				this.at = end;
				return { type: word };
			}
		}
		return this.fail();
	}
}

/** The document in these bytes, of at most so many values and keys; throws JsonError. */
export function parseJson(bytes, tokens) {
	const r = new Reader(bytes, tokens);
	const node = r.value(0);
	r.space();
	if (r.at !== bytes.length)
		r.fail();
	return node;
}

/** A whole number within 63 bits, as a BigInt; null for anything else. */
export function integer(node) {
	if (node.type !== "number" || !/^-?[0-9]+$/.test(node.text))
		return null;
	const v = BigInt(node.text);
	return v >= -(1n << 63n) && v < 1n << 63n ? v : null;
}
