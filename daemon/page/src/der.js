// Walking DER, as far as certificates and time stamps need it.

export const SEQUENCE = 0x30, SET = 0x31, INTEGER = 0x02, OCTETS = 0x04, OBJECT = 0x06, TIME = 0x18;
export const context = (n) => 0xa0 | n;

/** {tag, at, from, end}: the value at `at` and where its contents stand; null when it does not fit. */
export function element(der, at, limit = der.length) {
	const first = der[at + 1], many = first & 0x7f;
	if (at + 2 > limit || (first >= 0x80 && (many === 0 || many > 3)))
		return null;
	const from = at + 2 + (first < 0x80 ? 0 : many);
	let n = first < 0x80 ? first : 0;
	for (let i = at + 2; i < from; i++)
		n = n * 256 + der[i];
	return from + n <= limit ? { tag: der[at], at, from, end: from + n } : null;
}

/** The elements inside one, null when they do not fill it or it has another tag. */
export function inside(der, outer, tag) {
	if (outer?.tag !== tag)
		return null;
	const list = [];
	for (let at = outer.from; at < outer.end; at = list.at(-1).end) {
		const e = element(der, at, outer.end);
		if (e === null)
			return null;
		list.push(e);
	}
	return list;
}

export const contents = (der, e) => der.subarray(e.from, e.end);
