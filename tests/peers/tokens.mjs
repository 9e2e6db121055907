// Access tokens by npm's jose and jsonwebtoken. Reads {token, jwks, issuer, client} from standard
// input; writes what jose says of the token, forgeries ({name: token}) and texts that the caller
// signs with the appliance's own key ({name: {input, good}}).
import fs from 'node:fs'
import crypto from 'node:crypto'
import jwt from 'jsonwebtoken'

// Debian 12's node has it, but not under this name
globalThis.crypto ??= crypto.webcrypto
const jose = await import('jose')

const given = JSON.parse(fs.readFileSync(0, 'utf8'))
const good = jose.decodeJwt(given.token)
const header = jose.decodeProtectedHeader(given.token)
const jwk = given.jwks.keys.find(k => k.kid === header.kid)
const publicKey = crypto.createPublicKey({key: jwk, format: 'jwk'})
const pem = publicKey.export({type: 'spki', format: 'pem'})
const point = Buffer.concat([Buffer.from(jwk.x, 'base64url'), Buffer.from(jwk.y, 'base64url')])
const ec = curve => crypto.generateKeyPairSync('ec', {namedCurve: curve})
const b64 = v => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url')
const now = Math.floor(Date.now() / 1000)

async function verify(token, options) {
	try {
		const r = await jose.jwtVerify(token, jose.createLocalJWKSet(given.jwks), options)
		return {payload: r.payload, header: r.protectedHeader}
	} catch (e) {
		return {error: e.code}
	}
}

const strict = {issuer: given.issuer, audience: given.issuer, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['sub', 'sid', 'jti', 'client_id']}
const [h, p, s] = given.token.split('.')
const flipped = Buffer.from(s, 'base64url')
flipped[10] ^= 1
const said = {
	verified: await verify(given.token, strict),
	jsonwebtoken: jwt.verify(given.token, pem, {algorithms: ['ES256'], issuer: given.issuer, audience: given.issuer}),
	flipped: await verify(`${h}.${p}.${flipped.toString('base64url')}`, strict),
	thumbprint: await jose.calculateJwkThumbprint(jwk),
}

// --- forgeries that need no key of the appliance ---
const p256 = ec('P-256'), p384 = ec('P-384'), p521 = ec('P-521'), k256 = ec('secp256k1')
const rsa = crypto.generateKeyPairSync('rsa', {modulusLength: 2048})
const ed = crypto.generateKeyPairSync('ed25519')
const own = {typ: 'at+jwt', kid: header.kid}
const sign = (key, alg, more = {}, claims = good) =>
	jwt.sign(claims, key, {algorithm: alg, header: {...own, ...more, alg: more.alg ?? alg}, allowInvalidAsymmetricKeyTypes: true, allowInsecureKeySizes: true, noTimestamp: true})
const raw = (head, claims, sig = '') => `${b64(head)}.${b64(claims)}.${sig}`
const hmac = (secret, hash = 'sha256', head = {...own, alg: 'HS256'}) => {
	const text = `${b64(head)}.${b64(good)}`
	return `${text}.${crypto.createHmac(hash, secret).update(text).digest('base64url')}`
}
const ecdsa = key => {
	const text = `${b64({...own, alg: 'ES256'})}.${b64(good)}`
	return `${text}.${crypto.sign('sha256', Buffer.from(text), {key, dsaEncoding: 'ieee-p1363'}).toString('base64url')}`
}
const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
const sBytes = Buffer.from(s, 'base64url')
const other = (BigInt('0x' + sBytes.subarray(32).toString('hex')) + order)
const beyond = other < (1n << 256n) ? Buffer.from(other.toString(16).padStart(64, '0'), 'hex') : Buffer.alloc(32, 0xff)
const der = jose.base64url.decode(s)
const number = n => Buffer.from(n.toString(16).padStart(64, '0'), 'hex')
const withSignature = (...parts) => `${h}.${p}.${Buffer.concat(parts).toString('base64url')}`
// 64 bytes end in a letter with four bits to spare
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const spare = c => letters[letters.indexOf(c) | 1]
const asDer = sig => {
	const int = b => {
		const n = BigInt('0x' + b.toString('hex')).toString(16)
		const bytes = Buffer.from((n.length % 2 ? '0' : '') + n, 'hex')
		const body = bytes[0] & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes
		return Buffer.concat([Buffer.from([2, body.length]), body])
	}
	const both = Buffer.concat([int(sig.subarray(0, 32)), int(sig.subarray(32))])
	return Buffer.concat([Buffer.from([0x30, both.length]), both])
}
// (r, n - s) is as good a signature as (r, s) to ECDSA, to RFC 7518 and to jose
const mirrored = withSignature(sBytes.subarray(0, 32), number(order - BigInt('0x' + sBytes.subarray(32).toString('hex'))))
said.mirrored = await verify(mirrored, strict)
const fromJwk = await new jose.SignJWT(good).setProtectedHeader({...own, alg: 'ES256', jwk: await jose.exportJWK(p256.publicKey)}).sign(p256.privateKey)

const forged = {
	'alg none, empty signature': jwt.sign(good, '', {algorithm: 'none', header: {...own, alg: 'none'}}),
	'alg none, our signature': raw({...own, alg: 'none'}, good, s),
	'alg None': raw({...own, alg: 'None'}, good),
	'alg NONE': raw({...own, alg: 'NONE'}, good),
	'alg missing': raw(own, good, s),
	'alg a number': raw({...own, alg: 256}, good, s),
	'alg ES256, no signature': raw({...own, alg: 'ES256'}, good),
	'HS256 with the public key (jsonwebtoken)': jwt.sign(good, crypto.createSecretKey(Buffer.from(pem)), {algorithm: 'HS256', header: {...own, alg: 'HS256'}, noTimestamp: true}),
	'HS256 with the public key, trimmed': hmac(pem.trim()),
	'HS256 with the public key, DER': hmac(publicKey.export({type: 'spki', format: 'der'})),
	'HS256 with the point': hmac(point),
	'HS256 with the point, marked': hmac(Buffer.concat([Buffer.from([4]), point])),
	'HS256 with the JWK': hmac(JSON.stringify(jwk)),
	'HS256 with nothing': hmac(''),
	'HS384 with the public key': hmac(pem, 'sha384', {...own, alg: 'HS384'}),
	'HS512 with the public key': hmac(pem, 'sha512', {...own, alg: 'HS512'}),
	'HS256 named ES256': hmac(pem, 'sha256', {...own, alg: 'ES256'}),
	'another P-256 key': sign(p256.privateKey, 'ES256'),
	'another P-256 key and kid': sign(p256.privateKey, 'ES256', {kid: 'token-v000002'}),
	'another P-256 key, its JWK in the header': fromJwk,
	'another P-256 key, jku': sign(p256.privateKey, 'ES256', {jku: 'https://other.example/jwks.json'}),
	'another P-256 key, x5u': sign(p256.privateKey, 'ES256', {x5u: 'https://other.example/x.pem'}),
	'another P-256 key, kid a path': sign(p256.privateKey, 'ES256', {kid: '../../../../dev/null'}),
	'another P-256 key, kid SQL': sign(p256.privateKey, 'ES256', {kid: "x' UNION SELECT 'k"}),
	'P-384': sign(p384.privateKey, 'ES384'),
	'P-521': sign(p521.privateKey, 'ES512'),
	'P-384 named ES256': ecdsa(p384.privateKey),
	'secp256k1 named ES256': ecdsa(k256.privateKey),
	'RS256': sign(rsa.privateKey, 'RS256'),
	'PS256': sign(rsa.privateKey, 'PS256'),
	'EdDSA': await new jose.SignJWT(good).setProtectedHeader({...own, alg: 'EdDSA'}).sign(ed.privateKey),
	'signature flipped': `${h}.${p}.${flipped.toString('base64url')}`,
	'signature zero': `${h}.${p}.${Buffer.alloc(64).toString('base64url')}`,
	'signature r and s of the order': `${h}.${p}.${Buffer.from(order.toString(16).repeat(2), 'hex').toString('base64url')}`,
	'signature s beyond the order': `${h}.${p}.${Buffer.concat([sBytes.subarray(0, 32), beyond]).toString('base64url')}`,
	'signature short': `${h}.${p}.${Buffer.from(der.slice(0, 63)).toString('base64url')}`,
	'signature long': `${h}.${p}.${Buffer.concat([sBytes, Buffer.from([0])]).toString('base64url')}`,
	'signature padded': `${given.token}==`,
	'signature missing': `${h}.${p}`,
	'signature r nought': withSignature(Buffer.alloc(32), sBytes.subarray(32)),
	'signature s nought': withSignature(sBytes.subarray(0, 32), Buffer.alloc(32)),
	'signature r one, s one': withSignature(number(1n), number(1n)),
	'signature r the order': withSignature(number(order), sBytes.subarray(32)),
	'signature s the order': withSignature(sBytes.subarray(0, 32), number(order)),
	'signature of ones': withSignature(Buffer.alloc(32, 0xff), Buffer.alloc(32, 0xff)),
	'signature turned': withSignature(sBytes.subarray(32), sBytes.subarray(0, 32)),
	'signature r with a nought before': withSignature(Buffer.alloc(1), sBytes),
	'signature of 66 bytes': withSignature(Buffer.alloc(1), sBytes.subarray(0, 32), Buffer.alloc(1), sBytes.subarray(32)),
	'signature of 128 bytes': withSignature(sBytes, sBytes),
	'signature twice in a row': `${given.token}${s}`,
	'signature as DER': withSignature(asDer(sBytes)),
	'signature with spare bits': `${given.token.slice(0, -1)}${spare(given.token.at(-1))}`,
	'signature in the other alphabet': `${h}.${p}.${Buffer.concat([sBytes]).toString('base64').replace(/=+$/, '')}`.replace(/\.([^.]*)$/, (_, x) => '.' + (/[+/]/.test(x) ? x : x.slice(0, -1) + '+')),
	'signature of a point on the curve': withSignature(point),
	'one space inside': `${h}.${p}. ${s}`,
	'a line inside': `${h}.${p.slice(0, 9)}%0a${p.slice(9)}.${s}`,
	'header padded': `${h}=.${p}.${s}`,
	'header twice': `${h}.${h}.${p}.${s}`,
	'payload empty (detached)': `${h}..${s}`,
	'header empty': `.${p}.${s}`,
	'dots': '..',
	'a token for a token': `${h}.${b64(given.token)}.${s}`,
	'serialised as JSON': JSON.stringify({protected: h, payload: p, signature: s}),
	'alg es256': raw({...own, alg: 'es256'}, good, s),
	'alg in wide letters': raw({...own, alg: '\uff25\uff33256'}, good, s),
	'alg with a NUL': raw({...own, alg: 'ES256\u0000'}, good, s),
	'alg a list': raw({...own, alg: ['ES256']}, good, s),
	'alg null': raw({...own, alg: null}, good, s),
	'alg twice': `${b64(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"${header.kid}"}`)}.${p}.${s}`,
	'alg ES256K': raw({...own, alg: 'ES256K'}, good, s),
	'alg ES384 over our signature': raw({...own, alg: 'ES384'}, good, s),
	'kid in Cyrillic': sign(p256.privateKey, 'ES256', {kid: header.kid.replace('o', '\u043e')}),
	'kid with a NUL': sign(p256.privateKey, 'ES256', {kid: header.kid + '\u0000'}),
	'kid empty': sign(p256.privateKey, 'ES256', {kid: ''}),
	'kid very long': sign(p256.privateKey, 'ES256', {kid: 'k'.repeat(1500)}),
	'another P-256 key, x5c': sign(p256.privateKey, 'ES256', {x5c: [p256.publicKey.export({type: 'spki', format: 'der'}).toString('base64')]}),
	'our own JWK in the header, another key': sign(p256.privateKey, 'ES256', {jwk}),
	'a nonce in the header': sign(p256.privateKey, 'ES256', {nonce: 'x', cty: 'JWT'}),
	'HS256 with x alone': hmac(Buffer.from(jwk.x, 'base64url')),
	'HS256 with the thumbprint': hmac(said.thumbprint),
	'a fourth part': `${given.token}.${s}`,
	'payload of another': `${h}.${b64({...good, sub: crypto.randomUUID()})}.${s}`,
	'roles raised': `${h}.${b64({...good, roles: ['admin']})}.${s}`,
	'encrypted (JWE)': await new jose.EncryptJWT(good).setProtectedHeader({alg: 'dir', enc: 'A256GCM', kid: header.kid}).encrypt(crypto.randomBytes(32)),
	'unsecured (jose)': new jose.UnsecuredJWT(good).encode(),
}

// --- claims and headers that only the appliance's own key can sign; the first must be accepted ---
const text = (head, claims, accepted = false) => ({input: `${b64(head)}.${b64(claims)}`, good: accepted})
const without = (o, key) => Object.fromEntries(Object.entries(o).filter(([k]) => k !== key))
const signed = {
	'control': text(header, {...good, jti: crypto.randomUUID()}, true),
	'typ JWT': text({...header, typ: 'JWT'}, good),
	'typ missing': text(without(header, 'typ'), good),
	'kid of another version': text({...header, kid: 'token-v000002'}, good),
	'kid missing': text(without(header, 'kid'), good),
	'alg HS256 over our signature': text({...header, alg: 'HS256'}, good),
	'crit': text({...header, crit: ['exp']}, good),
	'b64 false': text({...header, b64: false, crit: ['b64']}, good),
	'expired': text(header, {...good, iat: now - 1000, exp: now - 100}),
	'issued in the future': text(header, {...good, iat: now + 3600, exp: now + 3600 + 900}),
	'a year long': text(header, {...good, exp: good.iat + 31536000}),
	'exp missing': text(header, without(good, 'exp')),
	'exp a text': text(header, {...good, exp: String(good.exp)}),
	'exp a fraction': text(header, {...good, exp: good.exp + 0.5}),
	'exp past 64 bits': text(header, {...good, exp: 1e30}),
	'another issuer': text(header, {...good, iss: 'https://other.example'}),
	'issuer missing': text(header, without(good, 'iss')),
	'issuer with a slash': text(header, {...good, iss: good.iss + '/'}),
	'another audience': text(header, {...good, aud: 'https://other.example'}),
	'audience missing': text(header, without(good, 'aud')),
	'another client': text(header, {...good, client_id: 'other'}),
	'not yet': text(header, {...good, nbf: now + 600}),
	'not before, and that is past': text(header, {...good, nbf: now - 600}),
	'expired this second': text(header, {...good, iat: now - 900, exp: now}),
	'exp before iat': text(header, {...good, iat: now, exp: now - 1}),
	'exp negative': text(header, {...good, exp: -1}),
	'exp true': text(header, {...good, exp: true}),
	'exp null': text(header, {...good, exp: null}),
	'iat missing': text(header, without(good, 'iat')),
	'iat a fraction': text(header, {...good, iat: good.iat + 0.5}),
	'issuer in capitals': text(header, {...good, iss: good.iss.toUpperCase()}),
	'issuer with a NUL': text(header, {...good, iss: good.iss + '\u0000'}),
	'issuer a list': text(header, {...good, iss: [good.iss]}),
	'issuer, wide letters': text(header, {...good, iss: good.iss.replace('l', '\uff4c')}),
	'audience a list with ours': text(header, {...good, aud: [good.aud, 'https://other.example']}),
	'subject in capitals': text(header, {...good, sub: good.sub.toUpperCase()}),
	'subject nil': text(header, {...good, sub: '00000000-0000-0000-0000-000000000000'}),
	'session missing': text(header, without(good, 'sid')),
	'client missing': text(header, without(good, 'client_id')),
	'typ application/at+jwt': text({...header, typ: 'application/at+jwt'}, good),
	'typ in capitals': text({...header, typ: 'AT+JWT'}, good),
	'cty JWT': text({...header, cty: 'JWT'}, good),
	'zip': text({...header, zip: 'DEF'}, good),
	'our own JWK in the header': text({...header, jwk}, good),
	'jku': text({...header, jku: given.issuer + '/.well-known/jwks.json'}, good),
	'x5u': text({...header, x5u: 'https://other.example/x.pem'}, good),
	'header a list': text([header], good),
	'header with a key twice': text(JSON.stringify(header).replace(/}$/, ',"alg":"none"}'), good),
	'header behind a mark of byte order': text('\ufeff' + JSON.stringify(header), good),
	'header, alg with an escape': text(JSON.stringify(header).replace('ES256', '\\u0045S256'), good, true),
	'payload with something behind': text(header, JSON.stringify(good) + '{}'),
	'payload of lone surrogates': text(header, JSON.stringify(good).replace(/}$/, ',"x":"\\ud800"}')),
	'payload too deep': text(header, {...good, x: JSON.parse('['.repeat(40) + ']'.repeat(40))}),
	'payload of 2 KiB': text(header, {...good, x: 'x'.repeat(2000)}),
	'an unknown user': text(header, {...good, sub: crypto.randomUUID()}),
	'an unknown session': text(header, {...good, sid: crypto.randomUUID()}),
	'subject missing': text(header, without(good, 'sub')),
	'payload an array': text(header, [good]),
	'payload not JSON': text(header, 'nonsense'),
	'payload with a key twice': text(header, JSON.stringify(good).replace(/}$/, `,"sub":"${crypto.randomUUID()}"}`)),
}
process.stdout.write(JSON.stringify({said, forged, signed, mirrored}))
