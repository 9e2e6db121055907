// A plan of requests by node's own http or by npm's undici, all over one connection: reads {kind,
// url, ca, pipeline, plan: [{method, path, headers, body, chunked, expect}]}, writes what came back.
import fs from 'node:fs'
import http from 'node:https'
import crypto from 'node:crypto'
import {Client} from 'undici'

const given = JSON.parse(fs.readFileSync(0, 'utf8'))
const ca = fs.readFileSync(given.ca)
const told = (status, headers, body, extra = {}) => ({
	status, headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v])),
	length: body.length, digest: crypto.createHash('sha256').update(body).digest('hex'), ...extra})

const agent = new http.Agent({keepAlive: true, maxSockets: 1, ca})
function byNode(q) {
	return new Promise((resolve, reject) => {
		const headers = {...q.headers}
		if (q.body !== null && !q.chunked)
			headers['Content-Length'] = Buffer.byteLength(q.body)
		if (q.expect)
			headers.Expect = '100-continue'
		let continued = false
		const r = http.request(given.url + q.path, {method: q.method, headers, agent}, a => {
			const parts = []
			a.on('data', p => parts.push(p)).on('end', () => resolve(told(a.statusCode, a.headers, Buffer.concat(parts), {continued})))
			a.on('error', reject)
		})
		r.on('error', reject)
		if (q.expect)
			r.on('continue', () => { continued = true; r.end(q.body) }).flushHeaders()
		else if (q.chunked) {
			r.useChunkedEncodingByDefault = true
			for (const c of q.body)
				r.write(c)
			r.end()
		} else
			r.end(q.body ?? undefined)
	})
}

const client = new Client(given.url, {pipelining: given.pipeline ?? 1, connect: {ca}})
async function byUndici(q) {
	const a = await client.request({method: q.method, path: q.path, headers: q.headers,
		body: q.body === null ? null : q.chunked ? (async function * () { for (const c of q.body) yield c })() : q.body})
	return told(a.statusCode, a.headers, Buffer.from(await a.body.arrayBuffer()))
}

const one = given.kind === 'node' ? byNode : byUndici
const out = []
if (given.pipeline)
	out.push(...await Promise.all(given.plan.map(one)))
else
	for (const q of given.plan)
		out.push(await one(q).catch(e => ({error: String(e)})))
agent.destroy()
await client.destroy()
process.stdout.write(JSON.stringify(out))
