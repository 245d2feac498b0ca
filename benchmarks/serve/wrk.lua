-- One request again and again: the file of its body, then its headers. Prints the figures as JSON in the last line.
function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.body = file:read("*a")
   file:close()
   wrk.method = "POST"
   for i = 2, #args do
      local name, value = args[i]:match("^(.-): (.*)$")
      wrk.headers[name] = value
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   local failed = e.connect + e.read + e.write + e.status + e.timeout
   io.write(string.format(
      '{"rps": %.3f, "requests": %d, "failed": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
      (summary.requests - e.status) / summary.duration * 1e6, summary.requests, failed,
      latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
