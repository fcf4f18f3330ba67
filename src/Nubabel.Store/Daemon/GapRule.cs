using Npgsql;

namespace Nubabel.Store;

/// <summary>A transaction that may own a number of a gap in the log.</summary>
/// <param name="VirtualTransaction">PostgreSQL's name for it while it lasts.</param>
/// <param name="Pid">Its backend; null for a prepared transaction.</param>
/// <param name="Age">Since it began (or was prepared); null until somebody asks.</param>
/// <param name="Gid">The name of a prepared transaction, which an operator has to commit or roll back.</param>
public sealed record Holder(string VirtualTransaction, int? Pid, TimeSpan? Age = null, string? ApplicationName = null, string? Gid = null);

/// <summary>
/// Tells which transactions may still fill a gap. The mark passes a gap on this evidence alone, so the rule can be swapped only here, for
/// the test that shows what a rule over transaction ids loses.
/// </summary>
internal interface IGapRule
{
    /// <summary>Who may still own a number of the gap; empty when nobody may.</summary>
    /// <param name="connection">The primary's, outside a transaction: each call is a statement of its own.</param>
    /// <param name="newGap">True for the first call after the read that met the gap: what was known of an earlier one is forgotten.</param>
    /// <param name="ct">Cancels.</param>
    Task<IReadOnlyList<Holder>> MayStillFill(NpgsqlConnection connection, bool newGap, CancellationToken ct);
}

/// <summary>
/// The rule that holds: <c>nextval</c> takes a RowExclusiveLock on the sequence and keeps it to the end of the top-level transaction, so
/// whoever drew a number below a visible row either stands in <c>pg_locks</c> or has ended. A lock is given back after the commit became
/// visible, so a snapshot taken after the listing sees the rows of everybody who is not listed.
/// </summary>
internal sealed class SequenceLockRule : IGapRule
{
    private const string Listing = """
        select l.virtualtransaction, l.pid from pg_locks l
        where l.locktype = 'relation' and l.relation = 'events.mt_events_sequence'::regclass and l.mode = 'RowExclusiveLock' and l.granted
          and l.database = (select oid from pg_database where datname = current_database())
        """;

    private readonly Dictionary<string, Holder> waiting = [];

    public async Task<IReadOnlyList<Holder>> MayStillFill(NpgsqlConnection connection, bool newGap, CancellationToken ct)
    {
        var listed = await List(connection, ct);
        if (newGap)
        {
            waiting.Clear();
            foreach (var holder in listed) waiting[holder.VirtualTransaction] = holder;
            return [.. waiting.Values];
        }
        var present = listed.Select(h => h.VirtualTransaction).ToHashSet();
        var gone = waiting.Values.Where(h => !present.Contains(h.VirtualTransaction)).ToArray();
        foreach (var holder in gone) waiting.Remove(holder.VirtualTransaction);
        // PREPARE TRANSACTION gives the lock to a transaction of another name. A backend that has gone may be any of the prepared ones
        // that are here now, so all of them are waited for. The number of such steps is bounded by the backends of the first listing.
        if (gone.Any(h => h.Pid is not null))
            foreach (var prepared in listed.Where(h => h.Pid is null)) waiting.TryAdd(prepared.VirtualTransaction, prepared);
        return [.. waiting.Values];
    }

    internal static async Task<List<Holder>> List(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(Listing, connection);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var holders = new List<Holder>();
        while (await reader.ReadAsync(ct))
            holders.Add(new Holder(reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetInt32(1)));
        return holders;
    }
}
