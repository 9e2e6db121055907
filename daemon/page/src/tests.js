// What tests in node take of the page: the verifier without the page.
export { check, stepNames } from "./check.js";
export { checkReceipt } from "./receipt.js";
export { readTrust } from "./trust.js";
export { quicknet, verifyRound } from "./drand.js";
export { parsePulse, verifyPulse } from "./pulse.js";
export { parseJson } from "./json.js";
export { inTree, leafHash } from "./merkle.js";
export { contextOf, shuffle } from "./draw.js";
export { parseRecord } from "./record.js";
export { checkProof, openCheckpoint, parseProof } from "./tlog.js";
export * from "./bytes.js";
export { kdfBy, sha256 } from "./crypt.js";
export { holderCommit, clientSeedHash } from "./leaf.js";
export { parseLogKey } from "./note.js";
