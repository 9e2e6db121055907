// Questions about rounds and what @noble/curves says of each: the oracle of our own verification.
//
//	node oracle.mjs COUNT [SEED]      lines of "public key, round, signature, 1 or 0"
//
// A few are true; the others are true ones with something changed: a bit of the signature, the round, the
// key, a point added, the encoding. What is drawn follows from SEED.
import { createHash } from "node:crypto";
import { bls12_381 as bls } from "@noble/curves/bls12-381.js";
import { compress, hex, INFINITY, makeChain, torsion, verify } from "./chain.mjs";

const count = Number(process.argv[2]), seed = process.argv[3] ?? "0";
let drawn = 0;
// below n
function draw(n) {
	const h = createHash("sha256").update(seed + " " + drawn++).digest();
	return Number(h.readBigUInt64BE(0) % BigInt(n));
}

const P = bls.fields.Fp.ORDER;
const chains = [0, 1, 2].map((i) => makeChain({ seed: `${seed} ${i}`, period: 3, genesis: 1000, id: "klero-test" }));
const flip = (text) => {
	const bytes = Buffer.from(text, "hex"), at = draw(bytes.length * 8);
	bytes[at >> 3] ^= 1 << (at & 7);
	return hex(bytes);
};

const changes = [
	(q) => q,
	(q) => ({ ...q, sig: flip(q.sig) }),
	(q) => ({ ...q, sig: flip(flip(q.sig)) }),
	(q) => ({ ...q, pub: flip(q.pub) }),
	(q) => ({ ...q, round: q.round + 1 + draw(5) }),
	(q) => ({ ...q, round: 0 }),
	(q) => ({ ...q, round: draw(Number.MAX_SAFE_INTEGER) }),
	(q) => ({ ...q, pub: chains[draw(3)].info.public_key }),
	(q) => ({ ...q, sig: compress(q.point.negate()) }),
	(q) => ({ ...q, sig: compress(q.point.add(q.point)) }),
	(q) => ({ ...q, sig: compress(q.point.add(bls.G1.Point.BASE)) }),
	(q) => ({ ...q, sig: compress(q.point.add(torsion())) }),
	(q) => ({ ...q, sig: compress(q.point.subtract(torsion())) }),
	(q) => ({ ...q, sig: INFINITY }),
	(q) => ({ ...q, sig: flip(INFINITY) }),
	(q) => ({ ...q, sig: hex(createHash("sha384").update(q.sig).digest()) }),
	// the flags: compressed, infinity, sign
	(q) => ({ ...q, sig: (parseInt(q.sig.slice(0, 2), 16) ^ (draw(8) << 5)).toString(16).padStart(2, "0") + q.sig.slice(2) }),
	// the same x, but not below p
	(q) => ({ ...q, sig: ((0x80n << 376n) | (BigInt("0x" + q.sig) & ((1n << 381n) - 1n)) % P + P).toString(16).slice(-96) }),
	(q) => ({ ...q, sig: q.sig.slice(2) }),
	(q) => ({ ...q, sig: q.sig + "00" }),
	(q) => ({ ...q, pub: "c0" + "00".repeat(95) }),
];

const lines = [];
for (let i = 0; i < count; i++) {
	const chain = chains[draw(3)], round = 1 + draw(1 << 30), point = chain.sign(round);
	const q = changes[i % changes.length]({ pub: chain.info.public_key, round, point, sig: compress(point) });
	lines.push(`${q.pub} ${q.round} ${q.sig} ${verify(q.pub, q.round, q.sig) ? 1 : 0}`);
}
console.log(lines.join("\n"));
