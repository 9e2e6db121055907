-- The load of a read: counts what was not answered with success, too.
function done(summary, latency, requests)
	local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write +
		summary.errors.timeout
	io.write(string.format("RESULT %.1f %d %.0f %.0f\n", summary.requests / (summary.duration / 1e6), bad,
		latency:percentile(50), latency:percentile(99)))
end
