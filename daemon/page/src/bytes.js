// Bytes and their text forms. Every decoder is strict: one text per value, and null for anything else.

const HEX = /^(?:[0-9a-f]{2})*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const U64_END = 1n << 64n;

export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** Exactly n bytes from lower-case hex; any number of them when n is not given. */
export function unhex(text, n = text.length / 2) {
	if (text.length !== 2 * n || !HEX.test(text))
		return null;
	return Uint8Array.from({ length: n }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function base64(bytes) {
	let out = "";
	for (let i = 0; i < bytes.length; i += 3) {
		const left = bytes.length - i;
		const v = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
		out += ALPHABET[v >> 18] + ALPHABET[(v >> 12) & 63];
		out += (left > 1 ? ALPHABET[(v >> 6) & 63] : "=") + (left > 2 ? ALPHABET[v & 63] : "=");
	}
	return out;
}

/** RFC 4648 with its padding, and with zeros in the spare bits. */
export function unbase64(text) {
	if (!BASE64.test(text))
		return null;
	const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
	return base64(bytes.subarray(bytes.length - (bytes.length % 3 || 3))) === text.slice(-4) ? bytes : null;
}

export const utf8 = (text) => new TextEncoder().encode(text);

/** The text of UTF-8 bytes, null when they are none; a byte order mark is a character as any other. */
export function unutf8(bytes) {
	try {
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
	} catch {
		return null;
	}
}

export function join(parts) {
	const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	let at = 0;
	for (const p of parts) {
		out.set(p, at);
		at += p.length;
	}
	return out;
}

export const concat = (...parts) => join(parts);

export const equal = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

/** Big-endian, size bytes. */
export function uint(value, size) {
	const out = new Uint8Array(size);
	for (let i = size - 1, v = BigInt(value); i >= 0; i--, v >>= 8n)
		out[i] = Number(v & 255n);
	return out;
}
export const u16 = (v) => uint(v, 2);
export const u32 = (v) => uint(v, 4);
export const u64 = (v) => uint(v, 8);

/** A big-endian number of any size. */
export const unuint = (bytes) => bytes.reduce((v, b) => (v << 8n) | BigInt(b), 0n);

/** Decimal without leading zeros and below 2^64, as a BigInt. */
export function decimal(text) {
	if (!/^(?:0|[1-9][0-9]{0,19})$/.test(text))
		return null;
	const v = BigInt(text);
	return v < U64_END ? v : null;
}

/** ASCII with a zero byte behind it: DRAW.md's T(s). */
export const label = (text) => concat(utf8(text), new Uint8Array(1));
