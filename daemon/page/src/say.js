// Numbers, times and values in words for people.

import { hex } from "./bytes.js";

const NUMBER = new Intl.NumberFormat("en");
const LAST_MS = 8640000000000000n;

export const number = (v) => NUMBER.format(v);
export const plural = (v, one, more = `${one}s`) => `${number(v)} ${BigInt(v) === 1n ? one : more}`;

/** "7 April 2026, 14:30:00 UTC" of Unix milliseconds; beyond what a date can say, the number. */
export function time(ms) {
	if (ms > LAST_MS || ms < -LAST_MS)
		return `${number(ms)} ms after 1970`;
	return `${new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "medium", timeZone: "UTC" }).format(new Date(Number(ms)))} UTC`;
}
/** The same for a column: "7 Apr 2026, 14:30:00". */
export const stamp = (ms) => (ms > LAST_MS ? number(ms)
	: new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" }).format(new Date(Number(ms))));
export const seconds = (s) => time(s * 1000n);

/** "10 minutes", "2 hours 5 minutes": a span of seconds, its two largest parts. */
export function span(s) {
	const units = [["day", 86400n], ["hour", 3600n], ["minute", 60n], ["second", 1n]];
	const parts = [];
	let rest = s;
	for (const [name, size] of units) {
		if (rest >= size && parts.length < 2)
			parts.push(plural(rest / size, name));
		rest %= size;
	}
	return parts.join(" ") || "no time";
}

/** The beginning and the end of a value. */
export function short(bytes) {
	const all = hex(bytes);
	return all.length <= 20 ? all : `${all.slice(0, 8)}…${all.slice(-8)}`;
}

/** A UUID's way of writing 16 bytes. */
export const uuid = (bytes) => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
