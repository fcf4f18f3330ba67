using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Which versions of read models have a checkpoint. A checkpoint means that the table is whole: readers may see it and the daemon feeds it. A version that comes
/// to a log which is already there gets its checkpoint with its table, from the rebuild that makes both.
/// </summary>
internal static class Checkpoints
{
    /// <summary>Up to here the daemon folds a first version from the beginning by itself: that takes it less time than a table beside.</summary>
    private const long ShortLog = 20_000;

    /// <summary>The versions of one read model, as an SQL condition over a checkpoint's name and the expression of the model's name.</summary>
    internal static string IsVersionOf(string checkpoint, string model) => $"{checkpoint} ~ ('^' || {model} || ':(V[0-9]+:)?All$')";

    /// <summary>That a projection (<c>n.progression</c> of <c>n.model</c>) begins with the log: nothing of it is there, and the log is short.</summary>
    private static readonly string Begins = $"""
        coalesce((select max(e.seq_id) from events.mt_events e), 0) <= {ShortLog}
        and not exists (select from nubabel.rebuilds r where r.progression = n.progression)
        and not exists (select from events.mt_event_progression o where {IsVersionOf("o.name", "n.model")})
        """;

    /// <summary>Makes the checkpoints of projections that begin with the log.</summary>
    /// <param name="mark">Where those begin that begin now and not with the log.</param>
    public static NpgsqlBatchCommand MakeFirst(IReadOnlyList<Projection> projections, long mark)
    {
        var make = new NpgsqlBatchCommand($"""
            insert into events.mt_event_progression (name, last_seq_id)
            select n.progression, case when n.starts_now then least($4, (select min(e.seq_id) - 1 from events.mt_events e where n.first <> '' and e.type = any (string_to_array(n.first, ',')))) else 0 end
            from unnest($1::varchar[], $2::varchar[], $3::boolean[], $5::text[]) n (progression, model, starts_now, first)
            where not exists (select from events.mt_event_progression p where p.name = n.progression) and (n.starts_now or {Begins}) on conflict do nothing
            """);
        AddNames(make, projections);
        make.AddArray(projections.Select(p => p.StartsNow).ToArray(), NpgsqlDbType.Boolean);
        make.Add(mark);
        make.AddArray(projections.Select(p => string.Join(',', p.BeginsWith)).ToArray(), NpgsqlDbType.Text);
        return make;
    }

    /// <summary>Orders the build of every version that has no table yet, and says whether one was ordered.</summary>
    public static async Task<bool> OrderMissing(NpgsqlDataSource daemon, IReadOnlyList<Projection> all, string by, CancellationToken ct)
    {
        // What begins now has no table to be built.
        Projection[] projections = [.. all.Where(p => !p.StartsNow)];
        await using var batch = daemon.CreateBatch();
        var order = new NpgsqlBatchCommand($"""
            insert into nubabel.rebuilds (progression, name, version, kind, state, started_by)
            select n.progression, n.model, n.version, 'version', 'running', $4 from unnest($1::varchar[], $2::varchar[], $3::integer[]) n (progression, model, version)
            where not exists (select from events.mt_event_progression p where p.name = n.progression) and not ({Begins})
            on conflict do nothing
            """);
        AddNames(order, projections);
        order.AddArray(projections.Select(p => p.Version).ToArray(), NpgsqlDbType.Integer);
        order.Add(by);
        batch.BatchCommands.Add(order);
        return await batch.ExecuteNonQueryAsync(ct) > 0;
    }

    private static void AddNames(NpgsqlBatchCommand command, IReadOnlyList<Projection> projections)
    {
        command.AddArray(projections.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(projections.Select(p => p.ReadModel).ToArray(), NpgsqlDbType.Varchar);
    }
}
