using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// A command on a stream of 20 events: load, decide, append under the expected version; by a node that has seen the streams before, as nodes do, and by one that remembers nothing. Beside
/// it <c>pgbench</c> does the same reading and writing with the same login, without deciding and without looking at what it has read.
/// </summary>
internal sealed class CommandBench(Options options) : IBench
{
    /// <summary>Each of the three has so many of its own: one that another has written to would not be as it is remembered.</summary>
    private const int Streams = 10_000;

    /// <summary>So few that they become long, and that their rows are at hand in PostgreSQL too.</summary>
    private const int Few = 64;

    private const int Events = 20;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1);
    private readonly TimeSpan each = options.Each(2);
    private readonly int rounds = options.Rounds ?? 3;

    private static readonly string Script = $$"""
        \set n random({{2 * Streams + 1}}, {{3 * Streams}})
        begin;
        select set_config('app.current_organization_id', '{{Seed.Tenant}}', true);
        select e.seq_id, e.tenant_id, e.stream_id, e.version, e.type, e.data, e.timestamp, e.id, e.user_name, e.correlation_id, e.causation_id, e.headers::text
          from events.mt_events e, (select :n::int as n) x where e.tenant_id = '{{Seed.Tenant}}' and e.stream_id = {{Seed.DeviceOfN}} order by e.version;
        with x as (select :n::int as n),
        s as (update events.mt_streams m set version = version + 1, timestamp = now() from x where m.tenant_id = '{{Seed.Tenant}}' and m.id = {{Seed.DeviceOfN}} returning m.id, m.version, m.tenant_id)
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, user_name, headers)
          select nextval('events.mt_events_sequence'), gen_random_uuid(), id, version, '{"publicKey": "MCowBQYDK2VwAyEA"}', 'device_key_changed', now(), tenant_id,
                 'Nubabel.Domain.Devices.DeviceKeyChanged, Nubabel.Domain', 'bench', 'user:{{Seed.Owner}}', '{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}' from s;
        commit;
        """;

    public string Name => "command";
    public string What => $"a command on a stream of {Events} events: load, decide, append; beside pgbench reading and writing the same";

    public TimeSpan Longest => TimeSpan.FromSeconds(60) + (WarmUp + each * rounds * 5) * 2;

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await Seed.Devices(database, 3 * Streams, Events);
        await using var forgetful = Database.Open("main", database.ApiString, database.DaemonString, remembered: 0);
        var (node, forgets) = (NodeOf(database.Database), NodeOf(forgetful));
        // Twice through all, so that the node knows them.
        var all = Calls(node, 0, Streams, ct);
        await Parallel.ForAsync(0, 2 * Streams, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = ct }, async (_, _) => await all(0));
        var rows = new List<Row>();
        foreach (var callers in (int[])[1, 8])
        {
            await Load.Run(callers, WarmUp, Calls(forgets, Streams, Streams, ct));
            var measured = await Load.InTurn(rounds,
                () => PgBench.Run(database.ApiString, callers, each, Script, ct),
                () => Load.Run(callers, each, Calls(node, 0, Streams, ct)),
                () => Load.Run(callers, each, Calls(node, 0, Few, ct)),
                () => Load.Run(callers, each, Calls(forgets, Streams, Streams, ct)),
                () => PgBench.Run(database.ApiString, callers, each, AppendBench.Script, ct));
            var reference = new Reference("pgbench", measured[0].PerSecond);
            var scaled = Quoted.Scaled(Quoted.MartenCommand(callers), callers, measured[4].PerSecond);
            rows.Add(Row.Of("pgbench: read 20 events, write 1", callers, measured[0]));
            rows.Add(Row.Of($"command, {Streams:N0} streams in turn", callers, measured[1]) with { Beside = [Quoted.MartenCommand(callers, callers == 1 ? 3 : 5), scaled, reference] });
            rows.Add(Row.Of($"command, {Few} streams in turn", callers, measured[2]) with { Beside = [Quoted.MartenCommand(callers), scaled, reference] });
            rows.Add(Row.Of($"command, {Streams:N0} streams, none remembered", callers, measured[3]) with { Beside = [Quoted.MartenCommand(callers), scaled, reference] });
        }
        return Report.Of(rows, Quoted.Note, Quoted.ScaledNote, "pgbench has no client to speak of, decides nothing and reads what it is sent without looking at it.", $"The middle of {rounds} rounds of {each.TotalSeconds:0.#} s each.");
    }

    private static Node NodeOf(Database database) => new(database, TestDatabase.Master, TestDatabase.Root, new Signal(), TimeProvider.System);

    /// <summary>Each call changes the key of the next stream, so that no two callers meet at one and each command has something to record.</summary>
    /// <param name="from">The streams before the first.</param>
    private static Func<int, Task> Calls(Node node, int from, int streams, CancellationToken ct)
    {
        var next = Random.Shared.Next(streams);
        return async _ =>
        {
            var n = (uint)Interlocked.Increment(ref next);
            // As a request does it: a journal each.
            var journal = node.Journal(Seed.Tenant, new Origin($"user:{Seed.Owner}", null, "bench", null, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
            var done = await journal.Handle((StreamName<Device>)new Id<Device>(Seed.Device(from + (int)(n % (uint)streams) + 1)), new ChangeDeviceKey(PublicKey.Parse($"MCowBQYDK2VwAyEA{Guid.NewGuid():N}")), ct);
            if (done.Appended != 1) throw new InvalidOperationException("A command that records nothing measures nothing.");
        };
    }
}
