// A drand chain of our own, by @noble/curves: quicknet's scheme (bls-unchained-g1-rfc9380) under a key that
// is made for it; and what verifies such rounds, as the oracle of ours. The forgeries are here too.
import { createHash } from "node:crypto";
import { bls12_381 as bls } from "@noble/curves/bls12-381.js";

const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
const short = bls.shortSignatures;
const G1 = bls.G1.Point;
const R = bls.fields.Fr.ORDER;

export const hex = (b) => Buffer.from(b).toString("hex");
export const unhex = (s) => new Uint8Array(Buffer.from(s, "hex"));
export const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();

function u64(n) {
	const b = Buffer.alloc(8);
	b.writeBigUInt64BE(BigInt(n));
	return b;
}

// what a round's signature is over, as a point
export const message = (round) => short.hash(new Uint8Array(sha256(u64(round))), DST);

export function makeChain({ seed, period, genesis, id }) {
	// any number below r will do, and SHA-256 is nearly one
	const secret = unhex((BigInt("0x" + hex(sha256("key", seed))) % (R - 1n) + 1n).toString(16).padStart(64, "0"));
	const pub = short.getPublicKey(secret).toBytes(true);
	const group = sha256("group", seed);
	const head = Buffer.alloc(12);
	head.writeUInt32BE(period, 0);
	head.writeBigInt64BE(BigInt(genesis), 4);
	const hash = sha256(head, pub, group, id === "default" ? "" : id);
	const info = {
		public_key: hex(pub), period, genesis_time: genesis, hash: hex(hash), groupHash: hex(group),
		schemeID: "bls-unchained-g1-rfc9380", metadata: { beaconID: id },
	};
	return { info, hash: hex(hash), sign: (round) => short.sign(message(round), secret) };
}

// A point of the curve that is not in the subgroup, of an order that divides the cofactor. Added to a
// signature it passes the pairing.
let torsionPoint;
export function torsion() {
	for (let x = 1n; torsionPoint === undefined; x++) {
		const y2 = bls.fields.Fp.add(bls.fields.Fp.pow(x, 3n), 4n);
		let y;
		try {
			y = bls.fields.Fp.sqrt(y2);
		} catch {
			continue;
		}
		const p = G1.fromAffine({ x, y });
		const t = p.multiplyUnsafe(R - 1n).add(p);
		if (!t.is0())
			torsionPoint = t;
	}
	return torsionPoint;
}

// as toBytes(true), which refuses what is not in the subgroup
export function compress(point) {
	const { x, y } = point.toAffine();
	const bytes = Buffer.from(x.toString(16).padStart(96, "0"), "hex");
	bytes[0] |= 0x80 | (2n * y > bls.fields.Fp.ORDER ? 0x20 : 0);
	return hex(bytes);
}

export const INFINITY = hex(G1.ZERO.toBytes(true));

// Each takes a chain and a round, and gives a signature in hex that is not that round's.
export const forgeries = {
	"wrong-signature": (chain, round) => hex(chain.sign(round + 1000000).toBytes(true)),
	torsion: (chain, round) => compress(chain.sign(round).add(torsion())),
	infinity: () => INFINITY,
	flipped: (chain, round) => {
		const bytes = unhex(hex(chain.sign(round).toBytes(true)));
		bytes[20] ^= 4;
		return hex(bytes);
	},
	negated: (chain, round) => hex(chain.sign(round).negate().toBytes(true)),
};

// The verdict on a signature of any bytes: is it that round's under this key?
export function verify(pub, round, signature) {
	try {
		const key = bls.G2.Point.fromBytes(unhex(pub));
		key.assertValidity();
		// 1.9 takes x modulo p, which gives a value a second encoding; 2.4 refuses it, and needs node 20
		if ((BigInt("0x" + signature) & ((1n << 381n) - 1n)) >= bls.fields.Fp.ORDER)
			return false;
		const sig = G1.fromBytes(unhex(signature));
		sig.assertValidity();
		if (sig.is0() || key.is0() || BigInt(round) < 1n)
			return false;
		return short.verify(sig, message(round), key);
	} catch {
		return false;
	}
}
