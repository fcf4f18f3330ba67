using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Reads the read models of one tenant with the api login, so that row-level security stands behind every query. Each query is one round
/// trip: the tenant's setting and the statement in one implicit transaction.
/// </summary>
/// <param name="opened">Told whose personal values were opened, each time.</param>
public sealed class Reader(Database database, SubjectKeys keys, string tenant, Action<IEnumerable<string>>? opened = null)
{
    /// <summary>The tenant that every statement must name.</summary>
    public string Tenant => tenant;

    /// <summary>The rows of a query, mapped one by one.</summary>
    public Task<IReadOnlyList<T>> Query<T>(Sql sql, Func<NpgsqlDataReader, T> map, CancellationToken ct) => Query(sql, inOrder: false, map, ct);

    /// <summary>The same of rows that an index has in the order in which they are wanted.</summary>
    internal Task<IReadOnlyList<T>> QueryInOrder<T>(Sql sql, Func<NpgsqlDataReader, T> map, CancellationToken ct) => Query(sql, inOrder: true, map, ct);

    private Task<IReadOnlyList<T>> Query<T>(Sql sql, bool inOrder, Func<NpgsqlDataReader, T> map, CancellationToken ct) => Again.Ask<IReadOnlyList<T>>(async () =>
    {
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        if (inOrder) batch.BatchCommands.Add(Sql.Of($"select {Plans.InOrder}").ToBatchCommand());
        batch.BatchCommands.Add(sql.ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        for (var before = batch.BatchCommands.Count - 1; before > 0; before--) await reader.NextResultAsync(ct);
        var rows = new List<T>();
        while (await reader.ReadAsync(ct)) rows.Add(map(reader));
        return rows;
    });

    /// <summary>Opens the personal values of JSON texts of this tenant, all with one key query; erased ones become null.</summary>
    public ValueTask<IReadOnlyList<ReadOnlyMemory<byte>>> Open(IReadOnlyList<ReadOnlyMemory<byte>> json, CancellationToken ct) => Unsealing.Open(keys, tenant, json, ct, opened: opened);

    /// <summary>Opens the values of one person; those of others become null.</summary>
    public ValueTask<IReadOnlyList<ReadOnlyMemory<byte>>> OpenOf(string subject, IReadOnlyList<ReadOnlyMemory<byte>> json, CancellationToken ct) => Unsealing.Open(keys, tenant, json, ct, subject, opened);

    /// <summary>Opens the personal values of a JSON text of this tenant; erased ones become null.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> Open(ReadOnlyMemory<byte> json, CancellationToken ct) => (await Open([json], ct))[0];
}
