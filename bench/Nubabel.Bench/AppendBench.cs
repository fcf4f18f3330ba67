using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// The engine's append alone, with all metadata, under row-level security, beside <c>pgbench</c> that writes the two rows of one event to a new stream in one
/// transaction with the same login. The callers, pgbench and PostgreSQL share the machine.
/// </summary>
internal sealed class AppendBench(Options options) : IBench
{
    private static readonly int[] Callers = [1, 8, 32];
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(700);
    private readonly TimeSpan each = options.Each(1);
    private readonly int rounds = options.Rounds ?? 3;

    /// <summary>What pgbench does per transaction: a stream row and an event row, as the append writes them.</summary>
    public const string Script = $$"""
        begin;
        select set_config('app.current_organization_id', '{{Tenant}}', true);
        with s as (insert into events.mt_streams (tenant_id, id, type, version, timestamp, created) values ('{{Tenant}}', 'device-' || gen_random_uuid(), 'device', 1, now(), now()) returning tenant_id, id)
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, user_name, headers)
          select nextval('events.mt_events_sequence'), gen_random_uuid(), id, 1, '{{{Seed.SealedName}}, "type": "mobile", "owner": "019a2b3c-4d5e-7f60-8123-456789abcdef"}', 'device_registered', now(), tenant_id,
                 'Nubabel.Domain.Devices.DeviceRegistered, Nubabel.Domain', 'bench', 'user:019a2b3c-4d5e-7f60-8123-456789abcdef', '{"$v": 2, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}' from s;
        commit;
        """;

    private const string Tenant = "019a0000-0000-7000-8000-000000000001";
    private static readonly DeviceRegistered Registered = new(new(Guid.CreateVersion7()), Seed.Name, Seed.NameKey, DeviceType.Mobile, null);

    public string Name => "append";
    public string What => "appends through the engine, beside pgbench writing the same two rows of one event per transaction";
    public TimeSpan Longest => TimeSpan.FromSeconds(30) + Load.CompilerTime + (WarmUp * 15 + each * rounds * 17);

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        foreach (var append in (Func<Journal, Caller, CancellationToken, Task<Appended>>[])[One, Full, Ten]) await Ready(database, 8, (_, _) => Tenant, append, ct, Load.CompilerTime / 3);
        var (rows, reference) = (new List<Row>(), 0.0);
        foreach (var callers in Callers) reference = await Appends(rows, database, callers, ct);
        await Neighbours(rows, database, reference, ct);
        return Report.Of(rows, Quoted.Note, Quoted.ScaledNote, $"pgbench has no client to speak of: it measures what PostgreSQL gives when a transaction is one append. The middle of {rounds} rounds of {each.TotalSeconds:0.#} s each.");
    }

    /// <summary>Returns what pgbench reached.</summary>
    private async Task<double> Appends(List<Row> rows, TestDatabase database, int callers, CancellationToken ct)
    {
        var loads = new[]
        {
            await Ready(database, callers, _ => Tenant, One, ct), await Ready(database, callers, (caller, _) => Of(caller), One, ct),
            await Ready(database, callers, _ => Tenant, Full, ct), await Ready(database, callers, _ => Tenant, Ten, ct),
        };
        var measured = await Load.InTurn(rounds, [() => PgBench.Run(database.ApiString, callers, each, Script, ct), .. loads.Select<Func<int, Task>, Func<Task<Measured>>>(l => () => Load.Run(callers, each, l))]);
        var (reference, one) = (measured[0].PerSecond, measured[1].PerSecond);
        var pgbench = new Reference("pgbench", reference, callers == 32 ? 1 : null);
        var times = callers switch { 1 => 1, 8 => 1.5, _ => 2.5 };
        rows.Add(Row.Of("pgbench, the same two rows", callers, measured[0]));
        rows.Add(Row.Of("one event, new stream, one tenant", callers, measured[1]) with { Beside = [pgbench, Quoted.MartenAppend(callers, times), Quoted.Scaled(Quoted.MartenAppend(callers), callers, reference)] });
        rows.Add(Row.Of("one event, new stream, a tenant per caller", callers, measured[2]) with { Beside = [pgbench, Quoted.MartenAppend(callers, times), Quoted.Scaled(Quoted.MartenAppend(callers), callers, reference)] });
        rows.Add(Row.Of("one tenant, with claim and idempotency record", callers, measured[3]) with { Beside = [new Reference("without", one, 0.85)] });
        rows.Add(Row.Of("10 events, expected version", callers, measured[4], "events/s", 10) with { Beside = [Quoted.MartenTen(callers, callers == 1 ? null : 1.5), Quoted.Scaled(Quoted.MartenTen(callers), callers, reference)] });
        return reference;
    }

    /// <summary>Many tenants, without and beside one that only ever conflicts.</summary>
    private async Task Neighbours(List<Row> rows, TestDatabase database, double reference, CancellationToken ct)
    {
        var many = await Ready(database, 32, (caller, n) => Of((caller + n * 32) % 1000), One, ct);
        var few = await Ready(database, 32, (caller, _) => Of(caller), One, ct);
        var measured = await Load.InTurn(rounds, () => Load.Run(32, each, many), () => Load.Run(32, each, few), async () =>
        {
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct);
            var conflicts = Enumerable.Range(0, 8).Select(_ => Conflicts(database, enough.Token)).ToArray();
            var beside = await Load.Run(32, each, few);
            await enough.CancelAsync();
            await Task.WhenAll(conflicts);
            return beside;
        });
        rows.Add(Row.Of("1,000 tenants in turn", 32, measured[0]) with { Beside = [new Reference("pgbench", reference), Quoted.MartenAppend(32, 2.5)] });
        rows.Add(Row.Of("a tenant per caller, beside one that only conflicts (8 callers)", 32, measured[2]) with { Beside = [new Reference("without it", measured[1].PerSecond, 0.8)] });
    }

    private static string Of(int tenant) => $"019a0000-0000-7000-8000-{tenant:x12}";

    private static StreamAppend New(Guid id, params ClaimValue[] claims) => new($"device-{id}", "device", StreamAppend.None, [Registered], claims, []);

    private static Task<Appended> One(Journal journal, Caller caller, CancellationToken ct) => journal.Append(journal.Now(), [New(Guid.CreateVersion7())], ct);

    private static Task<Appended> Full(Journal journal, Caller caller, CancellationToken ct)
    {
        var id = Guid.CreateVersion7();
        journal.Once = new IdempotencyRecord(journal.Tenant, "POST /api/devices", id.ToString(), new byte[32], 201);
        return journal.Append(journal.Now(), [New(id, new ClaimValue("device-name:bench", id.ToString()))], ct);
    }

    /// <summary>Onto the caller's own stream, of 200 events at most.</summary>
    private static Task<Appended> Ten(Journal journal, Caller caller, CancellationToken ct)
    {
        if (caller.Version is 0 or >= 200) (caller.Stream, caller.Version) = ($"device-{Guid.CreateVersion7()}", 0);
        var append = new StreamAppend(caller.Stream, "device", caller.Version, [.. Enumerable.Repeat<object>(Registered, 10)], [], []);
        caller.Version += 10;
        return journal.Append(journal.Now(), [append], ct);
    }

    private static async Task Conflicts(TestDatabase database, CancellationToken ct)
    {
        var keys = new SubjectKeys(database.Database, TestDatabase.Master);
        while (!ct.IsCancellationRequested)
        {
            var journal = JournalOf(database, keys, "019a0000-0000-7000-8000-ffffffffffff");
            var refused = await journal.Append(journal.Now(), [New(Guid.CreateVersion7()) with { Expected = 7 }], CancellationToken.None);
            if (refused is not Appended.Conflict) throw new InvalidOperationException($"Not refused: {refused}");
        }
    }

    /// <summary>What a caller remembers from one append to the next.</summary>
    private sealed class Caller
    {
        public string Stream { get; set; } = "";
        public long Version { get; set; }
        public int Calls { get; set; }
    }

    // As a request does it: a journal each.
    private static Journal JournalOf(TestDatabase database, SubjectKeys keys, string tenant) => new(database.Database, Events.Types, keys, tenant,
        new Origin("user:019a2b3c-4d5e-7f60-8123-456789abcdef", null, "bench", null, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), () => { }, TimeProvider.System);

    private static Task<Func<int, Task>> Ready(TestDatabase database, int callers, Func<int, string> tenant, Func<Journal, Caller, CancellationToken, Task<Appended>> append, CancellationToken ct) =>
        Ready(database, callers, (caller, _) => tenant(caller), append, ct);

    /// <summary>A call of each of the callers, warmed up.</summary>
    private static async Task<Func<int, Task>> Ready(TestDatabase database, int callers, Func<int, int, string> tenant, Func<Journal, Caller, CancellationToken, Task<Appended>> append, CancellationToken ct, TimeSpan? warmUp = null)
    {
        var keys = new SubjectKeys(database.Database, TestDatabase.Master);
        Caller[] all = [.. Enumerable.Range(0, callers).Select(_ => new Caller())];
        await Load.Run(callers, warmUp ?? WarmUp, Call);
        return Call;

        async Task Call(int number)
        {
            var caller = all[number];
            var result = await append(JournalOf(database, keys, tenant(number, caller.Calls++)), caller, ct);
            if (result is not Appended.Done) throw new InvalidOperationException($"Refused: {result}");
        }
    }
}
