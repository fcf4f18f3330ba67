using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Nubabel.Bench;

/// <summary>
/// A POST that appends (registering a device, which takes a unique claim on its name), signed in, over 32 connections that stay open, to the real server in a process of
/// its own with projections, limits and the access log on. The load generator, the server and PostgreSQL share the machine.
/// </summary>
internal sealed class HttpBench(Options options) : IBench
{
    private const int Connections = 32;
    private static readonly (string, string)[] Settings =
    [
        // Metered like all, and never refused.
        ("Limits__UserRequestsPerMinute", "1000000"), ("Limits__UserBurst", "1000000"), ("Limits__OrganizationRequestsPerMinute", "1000000"), ("Limits__OrganizationBurst", "1000000"),
        ("Limits__AddressRequestsPerMinute", "1000000"), ("Limits__AddressBurst", "1000000"),
    ];

    private readonly TimeSpan each = options.Each(4);
    private readonly int rounds = options.Rounds ?? 3;

    public string Name => "http";
    public string What => $"POST /api/devices, {Connections} connections, signed in, projections running, the real server";

    /// <summary>Thirty-three sign-ups come first, each of which hashes a password.</summary>
    public TimeSpan Longest => TimeSpan.FromSeconds(120);

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var server = await ServerProcess.Start(ct, Settings);
        using var calls = new ClosedCalls(server.Address, Connections);
        var token = await server.SignUp("load", ct);
        var others = new List<string>();
        for (var i = 0; i < Connections; i++) others.Add(await server.SignUp($"load-{i}", ct));
        var (one, many) = (new Posts(server.Address, [token]), new Posts(server.Address, others));
        Call(calls, server, Load.CompilerTime, StatusCode.Created, one.Next, ct);
        Call(calls, server, Load.CompilerTime / 4, StatusCode.Created, many.Next, ct);
        var lags = new List<double>();
        var clientCpu = new List<double>();
        var measured = await Load.InTurn(rounds, () => Posting(one), () => Posting(many), () => Measure(calls, server, StatusCode.Ok, Get("/health/live"), ct));
        await Registered(server, one.Sent + many.Sent, ct);
        return Report.Of([
            Row.Of("POST /api/devices, one organization", Connections, measured[0]) with { Beside = [Quoted.WolverineHttp], Aim = Aim.AtLeast(measured[0].PerSecond, 4_000, "per s") },
            Row.Of($"POST /api/devices, {Connections} organizations", Connections, measured[1]) with { Beside = [Quoted.WolverineHttp], Aim = Aim.AtLeast(measured[1].PerSecond, 4_000, "per s") },
            Row.Of("GET /health/live: the same way without a database", Connections, measured[2])],
            Quoted.Note,
            $"CPU is the server's process, its projections included. The load generator is one thread on the same cores: {Report.Number(clientCpu.Average())} cores while it posted.",
            $"The read model of devices had all of a round {Report.Number(lags.Order().ElementAt(lags.Count / 2), "0")} ms after its last answer (median of {lags.Count}).");

        async Task<Measured> Posting(Posts posts)
        {
            var cpu = Environment.CpuUsage.TotalTime;
            var m = await Measure(calls, server, StatusCode.Created, posts.Next, ct);
            clientCpu.Add((Environment.CpuUsage.TotalTime - cpu).TotalSeconds / each.TotalSeconds);
            lags.Add(await Settled(server, ct));
            return m;
        }
    }

    private Task<Measured> Measure(ClosedCalls calls, ServerProcess server, StatusCode status, Func<byte[], long, int> request, CancellationToken ct) => Task.Run(async () =>
    {
        var postgres = await PostgresProcesses.Open();
        ProcessMemory.ResetPeak(server.Id);
        var (cpu, theirs, watch) = (server.Cpu, postgres.Cpu(), Stopwatch.StartNew());
        var taken = Call(calls, server, each, status, request, ct);
        var seconds = watch.Elapsed.TotalSeconds;
        return new Measured(taken.Length / seconds, Load.At(taken, 50), Load.At(taken, 99), null, (server.Cpu - cpu).TotalSeconds / seconds, (postgres.Cpu() - theirs).TotalSeconds / seconds, ProcessMemory.Peak(server.Id));
    }, ct);

    private static double[] Call(ClosedCalls calls, ServerProcess server, TimeSpan time, StatusCode status, Func<byte[], long, int> request, CancellationToken ct) => calls.Run(time, (int)status, request, ct);

    /// <summary>Waits until the projections have all that was appended; how long that took, in milliseconds.</summary>
    private static async Task<double> Settled(ServerProcess server, CancellationToken ct)
    {
        var watch = Stopwatch.StartNew();
        var last = await server.Database.Scalar<long>("select last_value from events.mt_events_sequence");
        while (await server.Database.Scalar<long>("select last_seq_id from events.mt_event_progression where name = 'devices:V2:All'") < last) await Task.Delay(2, ct);
        return watch.Elapsed.TotalMilliseconds;
    }

    /// <summary>What was answered with 201 stands in the log and in the read model, each once.</summary>
    private static async Task Registered(ServerProcess server, long sent, CancellationToken ct)
    {
        await Settled(server, ct);
        var logged = await server.Database.Scalar<long>("select count(*) from events.mt_events where type = 'device_registered'");
        var shown = await server.Database.Scalar<long>("select count(*) from read.devices_v2");
        if (logged != sent || shown != sent) throw new InvalidOperationException($"{sent} devices were registered; the log has {logged} and the read model {shown}.");
    }

    private static Func<byte[], long, int> Get(string path)
    {
        var text = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return (to, _) =>
        {
            text.CopyTo(to, 0);
            return text.Length;
        };
    }

    private enum StatusCode { Ok = 200, Created = 201 }

    /// <summary>Registrations under ever new names, by each caller in turn.</summary>
    private sealed class Posts(Uri address, IReadOnlyList<string> tokens)
    {
        private readonly byte[][] texts = [.. tokens.Select(token => Encoding.ASCII.GetBytes(
            $"POST /api/devices HTTP/1.1\r\nHost: {address.Authority}\r\nAuthorization: Bearer {token}\r\nUser-Agent: nubabel-bench\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n{{\"name\":\"device 0000000000\",\"type\":\"web\"}} "))];

        public long Sent { get; private set; }

        public int Next(byte[] to, long n)
        {
            var text = texts[Sent % texts.Length];
            text.CopyTo(to, 0);
            // Behind the name's constant part, in as many digits as stand there.
            var digits = to.AsSpan(text.Length - "0000000000\",\"type\":\"web\"} ".Length, 10);
            (++Sent).TryFormat(digits, out _, "0000000000", CultureInfo.InvariantCulture);
            return text.Length;
        }
    }
}
