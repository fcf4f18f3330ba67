using Nubabel.Domain;
using Nubabel.Domain.Operators;
using Nubabel.Store;

namespace Nubabel.Projections.Operators;

/// <summary>An operator as the command line lists them.</summary>
public sealed record OperatorEntry(Id<Operator> Id, Personal Email, DateTimeOffset AddedAt, DateTimeOffset? RemovedAt)
{
    public static OperatorEntry? Evolve(OperatorEntry? row, Recorded e) => (row, e.Data) switch
    {
        (null, OperatorAdded a) => new OperatorEntry(new Id<Operator>(e.StreamGuid), a.Email, e.At, null),
        ({ }, OperatorRemoved) => row with { RemovedAt = e.At },
        _ => row,
    };

    /// <summary>All operators, removed ones included, in the order in which they were added. There are few, so no table holds them: their streams are read.</summary>
    public static async Task<IReadOnlyList<OperatorEntry>> All(PlatformReader db, Journal platform, CancellationToken ct)
    {
        var streams = (await db.Query(
            [$"select id from events.mt_streams where tenant_id = {platform.Tenant} and type = {Operator.Kind} order by created, id"], row => row.GetString(0), ct))[0];
        var histories = await platform.Read([.. streams], _ => Until.End, ct);
        return [.. streams.Select(stream => histories[stream].Aggregate((OperatorEntry?)null, Evolve)).OfType<OperatorEntry>()];
    }
}
