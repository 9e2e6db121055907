// What the libraries that people pay with say of addresses and transactions of ours, and values as the
// old platform's program wrote them. Reads arrays of questions, a line of JSON each, and answers each with
// a line; what throws ends it.
import { createCipheriv, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { Keypair, PublicKey, SystemInstruction, SystemProgram, Transaction } from "@solana/web3.js";
import { ethers } from "ethers";

const bytes = (hex) => Buffer.from(hex, "hex");

// AES-256-GCM as node's programs use it: what seed 3's service kept
function encrypt(key, plain) {
	const iv = randomBytes(12);
	const cipher = createCipheriv("aes-256-gcm", bytes(key), iv);
	const text = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
	return { iv, text, tag: cipher.getAuthTag() };
}

const answers = {
	// the address of an uncompressed point
	evm_address: ({ key }) => ethers.computeAddress("0x" + key),
	evm_checksum: ({ address }) => ethers.getAddress(address.toLowerCase()),
	// the address of a private key
	evm_private: ({ key }) => new ethers.Wallet("0x" + key).address,
	evm_transaction({ raw }) {
		const t = ethers.Transaction.from(raw);
		return {
			type: t.type, from: t.from, to: t.to, nonce: t.nonce, value: String(t.value), chain: String(t.chainId),
			max_fee: String(t.maxFeePerGas), priority_fee: String(t.maxPriorityFeePerGas), gas: String(t.gasLimit),
			data: t.data, access: t.accessList.length, hash: t.hash, again: t.serialized,
		};
	},
	solana_address: ({ key }) => new PublicKey(bytes(key)).toBase58(),
	// of a 32-byte seed: the address, and the 64-byte secret key as wallets export it
	solana_private({ key }) {
		const pair = Keypair.fromSeed(bytes(key));
		return { address: pair.publicKey.toBase58(), secret: Buffer.from(pair.secretKey).toString("hex") };
	},
	solana_transaction({ raw }) {
		const t = Transaction.from(Buffer.from(raw, "base64"));
		const [one, ...more] = t.instructions;
		const move = SystemInstruction.decodeTransfer(one);
		return {
			verified: t.verifySignatures(), payer: t.feePayer.toBase58(), blockhash: t.recentBlockhash,
			from: move.fromPubkey.toBase58(), to: move.toPubkey.toBase58(), lamports: String(move.lamports),
			program: one.programId.equals(SystemProgram.programId), more: more.length,
			signature: ethers.encodeBase58(t.signature), again: t.serialize().toString("base64"),
		};
	},
	// the parts of a legacy value in base64; the test puts them together by layout
	encrypt({ key, plain }) {
		const { iv, text, tag } = encrypt(key, plain);
		return { iv: iv.toString("hex"), text: text.toString("hex"), tag: tag.toString("hex") };
	},
	base58: ({ hex }) => ethers.encodeBase58(bytes(hex)),
};

for await (const line of createInterface({ input: process.stdin }))
	process.stdout.write(JSON.stringify(JSON.parse(line).map((q) => answers[q.ask](q))) + "\n");
