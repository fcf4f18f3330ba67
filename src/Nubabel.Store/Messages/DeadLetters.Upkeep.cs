using Microsoft.Extensions.Logging;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What the machine does about dead letters by itself, and what it knows of them as a whole.</summary>
public sealed partial class DeadLetters
{
    /// <summary>Replays letters as their queue's strategy says. Returns how many.</summary>
    internal async Task<int> Revive(QueueOptions queue, CancellationToken ct)
    {
        if (queue.Replays is not { } replays) return 0;
        await using var command = daemon.CreateCommand("select nubabel.letters_revive($1, $2, $3, $4, $5)");
        command.Add(queue.Name);
        command.AddArray(replays.Causes.Where(c => c != nameof(Hopeless)).ToArray(), NpgsqlDbType.Varchar);
        command.Add(replays.After);
        command.Add(replays.Times);
        command.Add(Chunk);
        var revived = (int)(await command.ExecuteScalarAsync(ct))!;
        if (revived > 0) outbox.Enqueued([queue.Name]);
        return revived;
    }

    /// <summary>Deletes letters that died so many days ago, in bounded pieces, and says which in the log. Returns how many.</summary>
    internal async Task<long> Expire(int days, ILogger log, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select queue, state, letters from nubabel.letters_expire($1, $2)");
        command.Add(days);
        command.Add(Chunk);
        var total = 0L;
        await using (var reader = await command.ExecuteReaderAsync(ct))
        {
            while (await reader.ReadAsync(ct))
            {
                var (queue, state, letters) = (reader.GetString(0), reader.GetString(1), reader.GetInt64(2));
                total += letters;
                // Nobody has dealt with these: what they say is not done and will not be.
                log.Log(state == "dead" ? LogLevel.Warning : LogLevel.Information, "{Letters} dead letters of {Queue} ({State}) were deleted: they died more than {Days} days ago.", letters, queue, state, days);
                outbox.Enqueued([queue]);
            }
        }
        await ForgetSweeps(ct);
        return total;
    }

    /// <summary>How far acts on many letters were is of no interest when they have long been done.</summary>
    internal async Task ForgetSweeps(CancellationToken ct)
    {
        await using var acts = daemon.CreateCommand("delete from nubabel.letter_sweeps where finished and updated < now() - make_interval(days => 90)");
        await acts.ExecuteNonQueryAsync(ct);
    }

    /// <summary>How many letters there are of each queue, type and cause, how old the open ones are, and what became of them day by day (UTC).</summary>
    public async Task<DeadLetterStatistics> Statistics(DeadLetterFilter filter, int days, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"""
            with d as materialized (
              select d.queue, d.type, coalesce(d.cause, '') as cause, d.state, d.died, d.closed, extract(epoch from clock_timestamp() - d.died) as age from nubabel.dead_letters d where {Filtered})
            select 'state', d.state, count(*) from d group by 2
            union all select 'queue', d.queue, count(*) from d where d.state = 'dead' group by 2
            union all select 'type', d.type, count(*) from d where d.state = 'dead' group by 2
            union all select 'cause', d.cause, count(*) from d where d.state = 'dead' group by 2
            union all select 'age', case when d.age < 3600 then '1h' when d.age < 86400 then '1d' when d.age < 604800 then '7d' when d.age < 2592000 then '30d' else 'older' end, count(*)
                        from d where d.state = 'dead' group by 2
            union all select 'oldest', '', coalesce(max(d.age)::bigint, 0) from d where d.state = 'dead'
            union all select 'died', to_char(d.died at time zone 'UTC', 'YYYY-MM-DD'), count(*) from d where d.died > now() - make_interval(days => $9) group by 2
            union all select d.state, to_char(d.closed at time zone 'UTC', 'YYYY-MM-DD'), count(*) from d where d.closed > now() - make_interval(days => $9) group by 1, 2
            order by 1, 3 desc, 2
            """);
        Add(command, filter);
        command.Add(days);
        var rows = new List<(string Kind, string Name, long Letters)>();
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) rows.Add((reader.GetString(0), reader.GetString(1), reader.GetInt64(2)));

        return new DeadLetterStatistics(
            Of("state", "dead"), Of("state", "replayed"), Of("state", "discarded"), Of("oldest", ""), All("queue"), All("type"), All("cause"),
            [.. Ages.Select(age => new DeadLetterCount(age, Of("age", age)))],
            [.. rows.Where(r => r.Kind is "died" or "replayed" or "discarded").Select(r => r.Name).Distinct().Order(StringComparer.Ordinal)
                .Select(day => new DeadLetterDay(DateOnly.ParseExact(day, "yyyy-MM-dd"), Of("died", day), Of("replayed", day), Of("discarded", day)))]);

        long Of(string kind, string name) => rows.Find(r => r.Kind == kind && r.Name == name).Letters;
        DeadLetterCount[] All(string kind) => [.. rows.Where(r => r.Kind == kind).Select(r => new DeadLetterCount(r.Name, r.Letters))];
    }

    private static readonly string[] Ages = ["1h", "1d", "7d", "30d", "older"];
}

/// <summary>So many letters of one name.</summary>
public sealed record DeadLetterCount(string Name, long Letters);

/// <summary>What happened on a day (UTC). A letter that died more than once counts where it died last.</summary>
public sealed record DeadLetterDay(DateOnly Day, long Died, long Replayed, long Discarded);

/// <summary>The dead letters as a whole.</summary>
/// <param name="OldestSeconds">How long ago the oldest one died that nobody has dealt with.</param>
/// <param name="ByQueue">Of those that nobody has dealt with, like <paramref name="ByType"/>, <paramref name="ByCause"/> and <paramref name="ByAge"/>.</param>
/// <param name="ByAge">Up to one hour, one day, 7 days, 30 days, and older.</param>
public sealed record DeadLetterStatistics(
    long Dead, long Replayed, long Discarded, long OldestSeconds, IReadOnlyList<DeadLetterCount> ByQueue, IReadOnlyList<DeadLetterCount> ByType, IReadOnlyList<DeadLetterCount> ByCause,
    IReadOnlyList<DeadLetterCount> ByAge, IReadOnlyList<DeadLetterDay> PerDay);
