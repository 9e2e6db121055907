// openapi.json against what the daemon did: reads {document, folder} from standard input, validates
// every recorded request and answer (tests/system/klero.py, class Record) by npm's
// openapi-request-validator and openapi-response-validator, and writes what it counted and every
// disagreement as JSON.
//
//	the daemon answered what the document does not know (status, code, header, type, member)
//	the daemon accepted what the document refuses
//	the daemon refused as malformed what the document accepts, for a reason that no schema says
import fs from 'node:fs'
import path from 'node:path'
import RequestValidator from 'openapi-request-validator'
import ResponseValidator from 'openapi-response-validator'

const given = JSON.parse(fs.readFileSync(0, 'utf8'))
const doc = given.document
const {components} = doc
const deref = o => (o && o.$ref ? deref(o.$ref.slice(2).split('/').reduce((n, k) => n[k], doc)) : o)

// what the validators are told of a path's "{id}": one segment, or the rest where its pattern has slashes
const paths = Object.entries(doc.paths).map(([p, item]) => {
	const rest = Object.values(item).flatMap(op => op.parameters).filter(q => q.in === 'path' && q.schema.pattern?.includes('/'))
	const part = (_, name) => `(?<${name}>${rest.some(q => q.name === name) ? '.+' : '[^/]+'})`
	return {path: p, re: new RegExp('^' + p.replace(/[.]/g, '\\.').replace(/\{(\w+)\}/g, part) + '$')}
})

// Headers that are HTTP's or the same on every answer, whatever the operation.
const always = ['date', 'x-request-id', 'cache-control', 'strict-transport-security', 'content-security-policy',
	'x-content-type-options', 'referrer-policy', 'cross-origin-opener-policy', 'cross-origin-resource-policy']
const free = new Set([...always, 'content-length', 'content-type', 'connection', 'vary', 'allow',
	'access-control-allow-origin', 'access-control-expose-headers'])

// Codes of errors in fields that say more than a schema can: bytes are not characters, a control
// character is no pattern of every text, two fields can contradict each other, a name can be taken.
const beyond = new Set(['characters', 'length', 'format', 'duplicate', 'contradicts-if-match', 'more-than-capacity', 'malformed',
	'time', 'word', 'more-than-a-draw', 'checksum', 'zero-address', 'own-address', 'more-than-max-fee', 'taken', 'repeated',
	'more-than-officers', 'not-name-and-key', 'no-officer'])
// ... and that ask for a field, or refuse it, because of what another one says: the document has it as optional
const depends = new Set(['required', 'unknown'])
function beyondSchema(op, x) {
	const schema = op.item.requestBody?.content['application/json']?.schema
	const [, name] = (x.pointer ?? '').split('/'), field = schema?.properties[name]
	if (x.code === 'range') // more than fits, of what is written as text or summed up
		return name === undefined || field?.type === 'string'
	return beyond.has(x.code) || (depends.has(x.code) && field !== undefined && !schema.required.includes(name))
}

const operations = new Map()
function operation(name, item) {
	if (!operations.has(name)) {
		const responses = Object.fromEntries(Object.entries(item.responses).map(([status, r]) =>
			[status, {...deref(r), description: r.description ?? deref(r).description}]))
		operations.set(name, {
			item,
			responses,
			answers: new ResponseValidator.default({responses, components, ajvOptions: {strict: false}}),
			requests: new RequestValidator.default({parameters: item.parameters, requestBody: item.requestBody, componentSchemas: components.schemas, ajvOptions: {strict: false}}),
			codes: s => (responses[s]?.description ?? '').split(', '),
		})
	}
	return operations.get(name)
}

const counted = {exchanges: 0, outside: 0, answers: 0, requests: 0, refused: 0}
const seen = new Map(), wrong = new Map()
function complain(e, what) {
	const key = `${e.method} ${e.target.split('?')[0].replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}')} ${e.status}: ${what}`
	wrong.set(key, (wrong.get(key) ?? 0) + 1)
}

function json(e, text) {
	try {
		return JSON.parse(text)
	} catch {
		return undefined
	}
}

function answer(e, op, headers, body) {
	const type = (headers.get('content-type') ?? '').split(';')[0]
	const success = e.status < 400
	const spec = op.responses[e.status] ?? (success ? undefined : op.responses.default)
	if (spec === undefined)
		return complain(e, 'undocumented status')
	const types = Object.keys(spec.content ?? {})
	if (types.length ? !types.includes(type) : type !== '')
		complain(e, `content type "${type}"`)
	for (const h of headers.keys())
		if (!free.has(h) && !Object.keys(spec.headers ?? {}).some(k => k.toLowerCase() === h))
			complain(e, `undocumented header ${h}`)
	if (e.method === 'HEAD' || !types.length)
		return body.length && complain(e, 'a body where none belongs')
	const value = type.endsWith('json') ? json(e, body) : body
	const found = op.answers.validateResponse(e.status, value)
	for (const f of found?.errors ?? [])
		complain(e, `${f.path} ${f.message} ${f.errorCode ?? ''}`)
	if (!success && types.includes('application/problem+json')) {
		const codes = op.responses[e.status] ? op.codes(e.status) : op.codes('default')
		if (!codes.includes(value?.code))
			complain(e, `undocumented code ${value?.code}`)
	}
	counted.answers++
}

// undefined when the document accepts the request, else the first reason why it does not
function refusal(e, op, match, query) {
	const headers = Object.fromEntries(Object.entries(e.headers).map(([k, v]) => [k.toLowerCase(), v]))
	const text = e.body === null ? '' : Buffer.from(e.body, 'base64').toString('utf8')
	const plain = op.item.requestBody?.content['*/*'] !== undefined
	const body = text === '' ? undefined : plain ? text : json(e, text)
	if (text !== '' && body === undefined)
		return 'not JSON'
	if (text !== '' && !op.item.requestBody)
		return 'a body where none belongs'
	const documented = new Set(op.item.parameters.filter(p => p.in === 'query').map(p => p.name))
	for (const name of query.keys())
		if (!documented.has(name))
			return `query ${name}`
	const integer = new Set(op.item.parameters.filter(p => p.schema.type === 'integer').map(p => p.name))
	const values = Object.fromEntries([...query].map(([k, v]) => [k, integer.has(k) && /^-?\d+$/.test(v) ? Number(v) : v]))
	const found = op.requests.validateRequest({headers: {...headers, ...(text === '' ? {} : {'content-type': headers['content-type']})}, body, params: match.groups ?? {}, query: values})
	return found ? JSON.stringify(found.errors?.[0] ?? found) : undefined
}

function request(e, op, match, query, body) {
	const why = refusal(e, op, match, query)
	if (e.status < 300) {
		counted.requests++
		if (why !== undefined)
			complain(e, `accepted, and the document says ${why}`)
	} else if (e.status === 400) {
		const problem = json(e, body)
		counted.refused++
		// 1.0 is an integer to JSON Schema; klerod wants it written as one
		const fraction = /\d[.eE]/.test(e.body === null ? '' : Buffer.from(e.body, 'base64').toString('utf8'))
		const excused = x => beyondSchema(op, x) || (x.code === 'integer' && fraction)
		if (why === undefined && problem.code === 'validation-failed' && !problem.errors.some(excused))
			complain(e, `refused (${problem.errors.map(x => x.pointer + ' ' + x.code)}), and the document accepts it`)
	}
}

function exchange(e) {
	counted.exchanges++
	const [target, search] = e.target.split(/\?(.*)/s)
	const method = (e.method === 'HEAD' ? 'GET' : e.method).toLowerCase()
	const headers = new Map(e.answer_headers.map(([k, v]) => [k.toLowerCase(), v]))
	const body = Buffer.from(e.answer, 'base64').toString('utf8')
	// of a log's errors it is not said who may keep them (DRAW.md section 3)
	const logs = e.status >= 400 && headers.get('cross-origin-resource-policy') === 'cross-origin'
	for (const h of always)
		if (!headers.has(h) && !(logs && h === 'cache-control'))
			complain(e, `without ${h}`)
	const found = paths.map(p => [p, p.re.exec(target)]).find(([, m]) => m)
	const item = found && doc.paths[found[0].path][method]
	if (!item) {
		// not in the document: then the daemon must not know it either
		counted.outside++
		if (![204, 308, 400, 401, 404, 405, 414, 429, 501, 503].includes(e.status) || (e.status === 204 && method !== 'options'))
			complain(e, 'answered, and the document does not know it')
		return
	}
	const name = `${method} ${found[0].path}`
	const op = operation(name, item)
	seen.set(`${name} ${e.status}`, (seen.get(`${name} ${e.status}`) ?? 0) + 1)
	answer(e, op, headers, body)
	request(e, op, found[1], new URLSearchParams(search ?? ''), body)
}

for (const file of fs.readdirSync(given.folder).filter(f => f.endsWith('.jsonl')))
	for (const line of fs.readFileSync(path.join(given.folder, file), 'utf8').split('\n'))
		if (line !== '')
			exchange(JSON.parse(line))
const all = Object.entries(doc.paths).flatMap(([p, item]) => Object.keys(item).map(m => `${m} ${p}`))
process.stdout.write(JSON.stringify({
	counted,
	pairs: seen.size,
	unseen: all.filter(name => ![...seen.keys()].some(k => k.startsWith(name + ' '))),
	wrong: Object.fromEntries(wrong),
}))
