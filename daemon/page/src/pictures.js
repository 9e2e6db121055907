// The pictures: a value's print, what went into the key, and the stone with its slots.

import { hex } from "./bytes.js";
import { el, svg } from "./dom.js";
import { number, short } from "./say.js";

const SLOTS_MAX = 480;
const NARROW = 500; // pixels of the screen
const CELL_W = 16, CELL_H = 11, MARGIN = 7;

/** A small picture of a value: the same value has the same one, another value nearly surely another. */
export function print(bytes, kind = "") {
	const side = 6, cells = [];
	for (let y = 0; y < side; y++)
		for (let x = 0; x < side / 2; x++) {
			const bit = y * 3 + x;
			if ((bytes[bit >> 3] >> (bit & 7)) & 1)
				cells.push([x, y], [side - 1 - x, y]);
		}
	return svg("svg", { class: `print ${kind}`, viewBox: "-1 -1 8 8", "aria-hidden": "true", focusable: "false" },
		cells.map(([x, y]) => svg("rect", { x, y, width: 1.02, height: 1.02 })));
}

/** A value by its print, its name and its two ends; the whole of it on demand. */
export function value(name, bytes, kind) {
	return el("div", { class: "value" }, print(bytes, kind), el("div", {},
		el("span", { class: "name" }, name), el("code", { title: hex(bytes) }, short(bytes))));
}

/** [name, bytes] + [name, bytes] … = [name, bytes] */
export function mix(parts, result) {
	const one = ([name, bytes], kind) => el("figure", {}, print(bytes, kind), el("figcaption", {}, name));
	const row = parts.flatMap((p, i) => [i > 0 ? el("span", { class: "sign" }, "+") : null, one(p, "")]);
	return el("div", { class: "mix" }, row, el("span", { class: "sign" }, "="), one(result, "clay"));
}

/** Which slots there are: one for each ticket, or one for as many as it takes. */
function layout(tickets) {
	const each = (tickets + BigInt(SLOTS_MAX) - 1n) / BigInt(SLOTS_MAX);
	const count = Number((tickets + each - 1n) / each);
	const columns = innerWidth < NARROW ? (count > 120 ? 20 : 10) : count > 120 ? 30 : 15;
	return { each, count, columns, rows: Math.ceil(count / columns) };
}

function slot(i, columns, kind, mark) {
	const x = MARGIN + (i % columns) * CELL_W, y = MARGIN + Math.floor(i / columns) * CELL_H;
	const rect = svg("rect", { class: kind, x: x + 1.5, y: y + 1.5, width: CELL_W - 3, height: CELL_H - 3, rx: 1.5 });
	return mark === null ? [rect] : [rect, svg("text", { class: kind, x: x + CELL_W / 2, y: y + CELL_H / 2 + 2.5 }, mark)];
}

/** The stone: winners fill their slots, reserves stand in theirs. picks: {index, winner, pos}. */
export function stone(tickets, picks) {
	const { each, count, columns, rows } = layout(tickets), taken = new Map();
	// the first one drawn shows where several fall into one slot
	for (const p of picks)
		if (!taken.has(Number(p.index / each)))
			taken.set(Number(p.index / each), p);
	const nodes = [];
	for (let i = 0; i < count; i++) {
		const p = taken.get(i);
		nodes.push(slot(i, columns, p ? (p.winner ? "w" : "r") : "s", p && p.pos < 1000 ? String(p.pos) : null));
	}
	const width = 2 * MARGIN + columns * CELL_W, height = 2 * MARGIN + rows * CELL_H;
	const words = `${number(tickets)} tickets as slots; winners: ${picks.filter((p) => p.winner).slice(0, 20).map((p) => p.index).join(", ")}`;
	return [
		svg("svg", { class: "slots", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words }, nodes),
		el("ul", { class: "legend" },
			el("li", {}, el("i"), each === 1n ? "one slot a ticket" : `one slot for ${number(each)} tickets`),
			el("li", { class: "w" }, el("i"), "winners, in the order drawn"),
			picks.some((p) => !p.winner) ? el("li", { class: "r" }, el("i"), "reserves") : null),
	];
}
