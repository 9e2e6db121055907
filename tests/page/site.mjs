// The page as a site serves it: the built file under its own policy, and proofs where the API has them. Notes every
// request, so that a test can say that there was no other.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";

// what klerod-net sends, out of the same source
const headerPolicy = (c) => /page_policy\[\] = "([^"]*)"/.exec(c)[1];

/** {url, asked, close}; proofs: ids to functions of the response. */
export async function serve(dir, proofs) {
	const html = readFileSync(join(dir, "verify.html")), asked = [];
	const policy = headerPolicy(readFileSync(join(dir, "verify.c"), "utf8"));
	const server = createServer((request, response) => {
		asked.push(request.url);
		const id = /^\/api\/v1\/raffles\/([0-9a-f-]{36})\/proof$/.exec(request.url)?.[1];
		if (/^\/verify(\?raffle=[0-9a-f-]{36})?$/.test(request.url))
			response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy }).end(html);
		else if (id && proofs[id])
			proofs[id](response);
		else
			response.writeHead(404, { "Content-Type": "application/problem+json" }).end("{}");
	});
	// chromium takes the loopback address for a secure place, as WebCrypto asks
	await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
	return { url: `http://127.0.0.1:${server.address().port}`, asked, close: () => server.close() };
}
