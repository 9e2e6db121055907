-- The load of many people: PAIRS is a file of lines "token raffle". With ME=1 each token is shown
-- once at /auth/me, so that engine knows it; otherwise each request buys a ticket of that raffle.
local tokens, paths = {}, {}
for line in io.lines(os.getenv("PAIRS")) do
	local token, raffle = line:match("(%S+) (%S+)")
	tokens[#tokens + 1] = token
	paths[#paths + 1] = "/api/v1/raffles/" .. raffle .. "/buy"
end
local n, run, me = 0, "", os.getenv("ME")

function init(args)
	math.randomseed(os.time())
	run = string.format("%x-%x-", os.time(), math.random(1, 2 ^ 30))
end

function request()
	n = n + 1
	local i = n % #tokens + 1
	if me then
		return wrk.format("GET", "/api/v1/auth/me", { ["Authorization"] = "Bearer " .. tokens[i] })
	end
	return wrk.format("POST", paths[i], {
		["Authorization"] = "Bearer " .. tokens[i],
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
