// What each check is for, in a line for a buyer: by klero-verify's words for the steps.

export const MEANING = {
	2: {
		bundle: "The file is a proof, whole and well-formed.",
		keys: "It says whose logs and witnesses it speaks of.",
		records: "The records of the raffle, from its opening to its end, belong together.",
		"operator log": "Each record stands in the operator’s public log, in this order and signed.",
		"ticket log": "The signed list of tickets is the one that was closed.",
		commitment: "The seed that was used is the one that was sealed before the sale.",
		winners: "Each winning ticket is in the closed list.",
		draw: "Drawn again here: the same tickets win, in the same order.",
		times: "The dice are those that were promised, and were cast long enough after sales ended.",
		beacons: "The dice are signed by their public sources.",
		witnesses: "Independent witnesses saw the closed list before the dice were cast.",
		"time stamps": "Trusted authorities put their time on the closed list.",
	},
	1: {
		bundle: "The file is a proof, whole and well-formed.",
		signature: "The record is signed by the operator that it names.",
		record: "The record is one of this raffle, with as many winners as announced.",
		commitment: "The seed that was used is the one that was sealed before the sale.",
		leaves: "Every ticket is there, in order.",
		root: "The tickets have the fingerprint that was closed.",
		"client seeds": "The buyers’ own words are those in their tickets.",
		aggregate: "All of the buyers’ words went into the draw.",
		draw: "Drawn again here: the same tickets win, in the same order.",
		winners: "The winners’ ids are those of their tickets.",
	},
};

/** What stands there when a proof has nothing of the kind. */
export const NOTHING = {
	"ticket log": "Sales never closed.",
	commitment: "The raffle was called off; the seed stays sealed.",
	winners: "Nobody won.",
	draw: "Nothing was drawn.",
	times: "No dice were cast for it.",
	beacons: "No dice were cast for it.",
	witnesses: "The proof asks for no witnesses.",
	"time stamps": "The proof has none.",
};

export const LEVELS = {
	reproduced: "drawn again here",
	signed: "signed",
	logged: "in the public log",
	"beacon-verified": "dice verified",
	witnessed: "witnessed",
	"time-stamped": "time-stamped",
};
