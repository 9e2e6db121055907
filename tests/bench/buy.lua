-- The load of a sale: one durable purchase a request, each under its own Idempotency-Key.
-- TOKENS: a file with one bearer token a line. BUY: the path.
local tokens, path = {}, os.getenv("BUY")
for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = line end
local n, run = 0, ""

function init(args)
	math.randomseed(os.time())
	run = string.format("%x-%x-", os.time(), math.random(1, 2 ^ 30))
end

function request()
	n = n + 1
	return wrk.format("POST", path, {
		["Authorization"] = "Bearer " .. tokens[n % #tokens + 1],
		["Content-Type"] = "application/json",
		["Idempotency-Key"] = run .. n,
	}, '{"quantity":1}')
end

function done(summary, latency, requests)
	local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write +
		summary.errors.timeout
	io.write(string.format("RESULT %.1f %d %.0f\n", summary.requests / (summary.duration / 1e6), bad,
		latency:percentile(99)))
end
