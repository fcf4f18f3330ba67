using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Store.Tests.Chain;

/// <summary>Every kind of tampering with a log in memory, a thousand at random, and what the record and the checkpoints can tell of it.</summary>
public sealed class ChainVerifierTests
{
    private const string Tenant = "01936d5e-0000-7000-8000-000000000001";
    private const int Every = 40;

    [Fact]
    public async Task A_thousand_random_tamperings_are_all_found_at_their_exact_place()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var i = 0; i < 1_000; i++)
        {
            var honest = LogOf(random, random.Next(1, 150));
            var (record, checkpoints) = Chained(honest);
            var log = honest.ToList();
            var (fault, position) = Tamper(random, log);

            var verdict = await Verify(log, record, checkpoints);

            Assert.True(verdict.Finding is { } found && found.Fault == fault && found.Position == position,
                $"seed {seed}, tampering {i} of {honest.Count} events: {fault} at {position} was found as {verdict.Finding}");
        }
    }

    [Fact]
    public async Task What_was_not_touched_is_valid_and_says_how_much_is_signed()
    {
        var log = LogOf(new Random(1), 100);
        var (record, checkpoints) = Chained(log);
        var verdict = await Verify(log, record, checkpoints);
        Assert.Equal((100, 2, 80L, null), (verdict.Entries, verdict.Checkpoints, verdict.Signed, verdict.Finding));
        Assert.True((await Verify([], [], [])).IsValid);
    }

    [Fact]
    public async Task Events_that_are_not_chained_yet_are_no_fault()
    {
        var log = LogOf(new Random(2), 90);
        var (record, checkpoints) = Chained(log[..85]);
        var verdict = await Verify(log, record, checkpoints);
        Assert.True(verdict.IsValid);
        Assert.Equal(85, verdict.Entries);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(79)]
    public async Task Who_changes_the_record_alone_changes_no_evidence(int at)
    {
        var log = LogOf(new Random(3), 100);
        var (record, checkpoints) = Chained(log);
        record[at] = record[at] with { Digest = RandomNumberGenerator.GetBytes(32) };
        Assert.Equal((ChainFault.Record, log[at].Position), Of(await Verify(log, record, checkpoints)));

        var (whole, _) = Chained(log);
        whole.RemoveRange(70, 30);
        Assert.Equal((ChainFault.Record, log[70].Position), Of(await Verify(log, whole, checkpoints)));
    }

    [Fact]
    public async Task Who_changes_log_and_record_alike_is_found_between_two_checkpoints()
    {
        var log = LogOf(new Random(4), 100);
        var (_, checkpoints) = Chained(log);
        log[50] = log[50] with { Data = "{}" };
        var verdict = await Verify(log, Chained(log).Record, checkpoints);
        Assert.Equal((ChainFault.Rewritten, log[79].Position), Of(verdict));
        Assert.Equal(log[39].Position, verdict.Finding!.After);
    }

    [Fact]
    public async Task Who_cuts_log_record_and_checkpoints_off_is_found_by_a_statement_that_was_kept()
    {
        var log = LogOf(new Random(5), 100);
        var (record, checkpoints) = Chained(log);
        Assert.True((await Verify(log[..60], record[..60], checkpoints[..1])).IsValid);
        Assert.Equal((ChainFault.Truncated, log[79].Position), Of(await Verify(log[..60], record[..60], checkpoints)));
    }

    [Fact]
    public async Task Two_statements_about_the_same_entries_must_both_be_true()
    {
        var log = LogOf(new Random(6), 50);
        var (record, checkpoints) = Chained(log);
        checkpoints.Add(checkpoints[0] with { Link = new byte[32] });
        Assert.Equal(ChainFault.Rewritten, (await Verify(log, record, checkpoints)).Finding!.Fault);
    }

    /// <summary>Computed once by another implementation from docs/audit.md: what changes here breaks every chain there is.</summary>
    [Fact]
    public void The_format_does_not_change()
    {
        var e = new LoggedEvent
        {
            Position = 42,
            Id = Guid.Parse("01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56"),
            Tenant = Tenant,
            Stream = "device-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55",
            Version = 1,
            Type = "device_registered",
            At = DateTime.UnixEpoch.AddTicks(1_763_712_800_123_456 * TimeSpan.TicksPerMicrosecond),
            Data = """{"name": "Zoë’s phone"}""",
        };
        Assert.Equal("b7e7e9f3675b6bf7d3814afdb1223bbd82ef9adaa32c9893c35deb6c970eea33", Convert.ToHexStringLower(ChainDigest.Of(e)));
        Assert.Equal("b28cc74ce0cbc6c2d96f79292280f3b172f9983d0edb5a3ced207d15b0c9e9a8", Convert.ToHexStringLower(ChainDigest.Link(ChainDigest.Seed(Tenant), ChainDigest.Of(e))));
    }

    [Fact]
    public void A_checkpoint_is_read_by_its_key_alone_and_as_it_was_signed()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var checkpoint = new Checkpoint("https://nubabel.example", Tenant, 7, 9, RandomNumberGenerator.GetBytes(32), 1_764_000_000);
        var statement = checkpoint.Sign(key, "k1");

        Assert.Equivalent(checkpoint, Checkpoint.Read(statement, kid => kid == "k1" ? key : null));
        Assert.Null(Checkpoint.Read(statement, _ => other));
        Assert.Null(Checkpoint.Read(statement, _ => null));
        var parts = statement.Split('.');
        foreach (var forged in (string[])[
            $"{parts[0]}.{Base64(Encoding.UTF8.GetBytes("{}"))}.{parts[2]}", $"{Base64(Encoding.UTF8.GetBytes("""{"alg":"none","typ":"nubabel-checkpoint+jwt","kid":"k1"}"""))}.{parts[1]}.",
            $"{parts[0]}.{parts[1]}", "", "a.b.c", statement + "A", new string('x', 5_000)])
            Assert.Null(Checkpoint.Read(forged, _ => key));
    }

    private static string Base64(byte[] bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);

    private static (ChainFault, long) Of(ChainVerdict verdict) => (verdict.Finding!.Fault, verdict.Finding.Position);

    private static List<LoggedEvent> LogOf(Random random, int count)
    {
        var position = 0L;
        return [.. Enumerable.Range(0, count).Select(i => new LoggedEvent
        {
            // Other tenants' events and numbers that were never used lie between.
            Position = position += random.Next(1, 5),
            Id = Guid.NewGuid(),
            Tenant = Tenant,
            Stream = $"tally-{random.Next(20)}",
            Version = i + 1,
            Type = "tally_raised",
            At = DateTime.UnixEpoch.AddSeconds(random.NextInt64(2_000_000_000)),
            Data = $$"""{"by": {{random.Next()}}}""",
            Actor = random.Next(3) == 0 ? null : "user:somebody",
            Headers = random.Next(3) == 0 ? null : """{"ip": "…"}""",
        })];
    }

    private static (List<ChainEntry> Record, List<Checkpoint> Checkpoints) Chained(IReadOnlyList<LoggedEvent> log)
    {
        var (record, checkpoints, link) = (new List<ChainEntry>(), new List<Checkpoint>(), ChainDigest.Seed(Tenant));
        foreach (var e in log)
        {
            record.Add(new ChainEntry(record.Count + 1, e.Position, e.Id, ChainDigest.Of(e)));
            link = ChainDigest.Link(link, record[^1].Digest);
            if (record.Count % Every == 0) checkpoints.Add(new Checkpoint("i", Tenant, record.Count, e.Position, link, 0));
        }
        return (record, checkpoints);
    }

    private static Task<ChainVerdict> Verify(IReadOnlyList<LoggedEvent> log, IReadOnlyList<ChainEntry> record, IReadOnlyList<Checkpoint> checkpoints) =>
        new ChainVerifier(Tenant, checkpoints, (id, _) => new(log.Where(e => e.Id == id).Select(e => (long?)e.Position).FirstOrDefault()))
            .Verify(log.ToAsyncEnumerable(), record.ToAsyncEnumerable(), default);

    /// <summary>Does something to the log, and says what it is called and where.</summary>
    private static (ChainFault Fault, long Position) Tamper(Random random, List<LoggedEvent> log)
    {
        var at = random.Next(log.Count);
        var e = log[at];
        switch (random.Next(log.Count == 1 ? 2 : 6))
        {
            case 0:
                log[at] = random.Next(8) switch
                {
                    0 => e with { Data = e.Data.Replace("by", "to", StringComparison.Ordinal) },
                    1 => e with { Headers = e.Headers is null ? "{}" : null },
                    2 => e with { Actor = e.Actor is null ? "" : null },
                    3 => e with { At = e.At.AddTicks(TimeSpan.TicksPerMicrosecond) },
                    4 => e with { Type = "tally_renamed" },
                    5 => e with { Stream = e.Stream + "0" },
                    6 => e with { Version = e.Version + 1 },
                    _ => e with { Id = Guid.NewGuid() },
                };
                return (ChainFault.Altered, e.Position);
            case 1:
                log.RemoveRange(at, log.Count - at);
                return (ChainFault.Truncated, e.Position);
            case 2:
                if (at == log.Count - 1) goto case 1;
                log.RemoveAt(at);
                return (ChainFault.Missing, e.Position);
            case 3:
                // Two events change places.
                var other = (at + 1 + random.Next(log.Count - 1)) % log.Count;
                (at, other) = (Math.Min(at, other), Math.Max(at, other));
                (log[at], log[other]) = (log[other] with { Position = log[at].Position }, log[at] with { Position = log[other].Position });
                return (ChainFault.Reordered, log[at].Position);
            case 4:
                // One moves behind all others.
                if (at == log.Count - 1) goto case 3;
                log.RemoveAt(at);
                log.Add(e with { Position = log[^1].Position + 1 });
                return (ChainFault.Reordered, e.Position);
            default:
                // One is slipped in where nothing stood, before the last.
                var gap = Enumerable.Range(0, log.Count - 1).Where(i => log[i + 1].Position - log[i].Position > 1).ToArray();
                if (gap.Length == 0) goto case 0;
                var behind = gap[random.Next(gap.Length)];
                log.Insert(behind + 1, e with { Position = log[behind].Position + 1, Id = Guid.NewGuid() });
                return (ChainFault.Inserted, log[behind + 1].Position);
        }
    }
}
