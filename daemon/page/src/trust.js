// What a reader knows of an operator without the proof: the options of klero-verify, read from text.

import { unhex, utf8 } from "./bytes.js";
import { Refused, demand, readJson } from "./bundle.js";
import { sha512 } from "./crypt.js";
import { parseChain } from "./drand.js";
import { parseLogKey } from "./note.js";
import { parsePolicy } from "./policy.js";
import { pemCertificate } from "./x509.js";

const READERS = {
	async operatorKey(text) {
		const key = await parseLogKey(text);
		demand(key !== null, "that is not a verifier key: name+hex+base64");
		return key;
	},
	async commit(text) {
		const bytes = unhex(text, 32);
		demand(bytes !== null, "a seed commitment is 64 hex digits");
		return bytes;
	},
	async policy(text) {
		const { policy, line } = await parsePolicy(text + "\n");
		demand(policy !== undefined, `line ${line} is not one of a tlog-policy`);
		return policy;
	},
	async chain(text) {
		const chain = await parseChain(readJson(utf8(text), 64));
		demand(chain !== null, "that is not what a drand relay's /info says");
		return chain;
	},
	async certificates(text) {
		const der = pemCertificate(text);
		demand(der !== null, "that is not a certificate in PEM");
		return [await sha512(der)];
	},
	async delay(text) {
		demand(/^[1-9][0-9]{0,9}$/.test(text), "a delay is a number of seconds from 1");
		return BigInt(text);
	},
};

/** {trust, errors}: both by the names of READERS; empty texts say nothing. */
export async function readTrust(texts) {
	const trust = {}, errors = {};
	for (const [name, read] of Object.entries(READERS)) {
		const text = (texts[name] ?? "").trim();
		try {
			if (text !== "")
				trust[name] = await read(text);
		} catch (e) {
			errors[name] = e instanceof Refused ? e.message : "that cannot be read";
		}
	}
	return { trust, errors };
}
