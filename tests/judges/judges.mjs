// What sigstore's verifier says of checkpoints and inclusion, and drand's client and noble of rounds.
// Reads arrays of questions, a line of JSON each, and answers each with a line: true, or why not.
import { createHash, createPublicKey } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { bls12_381 as bls } from "@noble/curves/bls12-381";
import { fetchBeacon } from "drand-client";

const require = createRequire(import.meta.url);
const { verifyCheckpoint } = require("@sigstore/verify/dist/timestamp/checkpoint.js");
const { verifyMerkleInclusion } = require("@sigstore/verify/dist/timestamp/merkle.js");

const sha256 = (...parts) => {
	const h = createHash("sha256");
	for (const p of parts)
		h.update(p);
	return h.digest();
};

// name+id+base64(01 ‖ key)
function logKey(vkey) {
	const [name, id, b64] = vkey.split(/\+(?=[0-9a-f]{8}\+)|(?<=\+[0-9a-f]{8})\+/);
	const raw = Buffer.from(b64, "base64");
	const jwk = { kty: "OKP", crv: "Ed25519", x: raw.subarray(1).toString("base64url") };
	const logID = sha256(name, "\n", raw);
	if (logID.subarray(0, 4).toString("hex") !== id)
		throw new Error("the key's id is not its hash");
	return { name, logID, publicKey: createPublicKey({ key: jwk, format: "jwk" }), validFor: { start: new Date(0), end: new Date() } };
}

// sigstore asks for a key of each signer: the note with the log's own line alone is a note, too
function ownLine(note, name) {
	const at = note.indexOf("\n\n") + 2;
	const lines = note.slice(at).split(/(?<=\n)/).filter((l) => l.startsWith(`\u2014 ${name} `));
	return note.slice(0, at) + lines.join("");
}

function entry(note, index, hashes, leaf) {
	const [, size, root] = note.split("\n");
	return {
		integratedTime: "0",
		canonicalizedBody: leaf,
		inclusionProof: {
			logIndex: index, treeSize: size, rootHash: Buffer.from(root, "base64"), hashes,
			checkpoint: { envelope: note },
		},
	};
}

function checkpoint({ note, vkey }) {
	const key = logKey(vkey);
	const own = ownLine(note, key.name);
	verifyCheckpoint(entry(own, "0", [], Buffer.alloc(0)), [key]);
	if (note.slice(0, note.indexOf("\n")) !== key.name)
		throw new Error("another log's");
	return true;
}

const answers = {
	checkpoint,
	// c2sp.org/tlog-proof@v1
	proof({ proof, leaf, vkey }) {
		const at = proof.indexOf("\n\n") + 2;
		const lines = proof.slice(0, at - 2).split("\n");
		if (lines.shift() !== "c2sp.org/tlog-proof@v1")
			throw new Error("no proof");
		if (lines[0].startsWith("extra "))
			lines.shift();
		const index = /^index (0|[1-9][0-9]*)$/.exec(lines.shift())[1];
		const hashes = lines.map((l) => Buffer.from(l, "base64"));
		const note = proof.slice(at);
		checkpoint({ note, vkey });
		verifyMerkleInclusion(entry(note, index, hashes, Buffer.from(leaf, "hex")));
		return true;
	},
	async drand_client({ info, round, signature }) {
		const randomness = sha256(Buffer.from(signature, "hex")).toString("hex");
		const client = {
			options: { disableBeaconVerification: false, noCache: false },
			get: async () => ({ round, signature, randomness }),
			chain: () => ({ baseUrl: "", info: async () => info }),
		};
		await fetchBeacon(client, round);
		return true;
	},
	noble({ info, round, signature }) {
		const message = Buffer.alloc(8);
		message.writeBigUInt64BE(BigInt(round));
		const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
		const point = bls.G1.hashToCurve(sha256(message), { DST });
		const sig = bls.ShortSignature.fromHex(signature);
		sig.assertValidity();
		return bls.verifyShortSignature(sig, point, info.public_key) || "the pairing does not hold";
	},
};

for await (const line of createInterface({ input: process.stdin })) {
	const said = [];
	for (const q of JSON.parse(line)) {
		try {
			said.push(await answers[q.ask](q));
		} catch (e) {
			said.push(String(e.message ?? e));
		}
	}
	process.stdout.write(JSON.stringify(said) + "\n");
}
