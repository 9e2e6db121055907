// One line a test, "ok …" or "not ok …" (TAP), as tests/check.sh counts them.
let failed = 0;

export async function test(name, run) {
	try {
		await run();
		console.log(`ok ${name}`);
	} catch (e) {
		failed++;
		console.log(`not ok ${name}`);
		console.log(String(e?.stack ?? e).replace(/^/gm, "# "));
	}
}

/** How many have failed so far. */
export const failures = () => failed;
