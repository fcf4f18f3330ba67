using Npgsql;

namespace Nubabel.Store;

/// <summary>An entry of the directory.</summary>
/// <param name="State"><c>reserved</c>, <c>active</c>, <c>suspended</c> or <c>closed</c>.</param>
public sealed record DirectoryEntry(string Organization, string Slug, string Shard, string State);

/// <summary>
/// Finds an organization, and the shard it lives on, before a tenant is known. Sign-up reserves the slug, appends, then confirms; a
/// reservation that is never confirmed runs out.
/// </summary>
public sealed class TenantDirectory(NpgsqlDataSource main)
{
    private readonly NpgsqlDataSource main = main;

    /// <summary>How long a slug stays reserved for a sign-up that does not come back, in seconds: a little longer than a request may run.</summary>
    private const int ReservedSeconds = 40;

    public Task<DirectoryEntry?> Find(string slugOrId, CancellationToken ct) => Again.Ask(async () =>
    {
        await using var command = main.CreateCommand("select organization, slug, shard, state from nubabel.directory_find($1)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = slugOrId });
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct)
            ? new DirectoryEntry(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3))
            : null;
    });

    /// <summary>
    /// Reserves a slug, and says on which shard its organization is to live: the wanted one, or that of its first reservation. Null when the slug is another's.
    /// </summary>
    /// <param name="main">The shard that this directory stands on.</param>
    /// <param name="notFounded">An organization that was looked for on its own shard and is not there: its reservation may be taken over if it has run out.</param>
    public async Task<string?> Place(string slug, string organization, string shard, string main, string? notFounded, CancellationToken ct)
    {
        await using var command = this.main.CreateCommand("select nubabel.directory_place($1, $2, $3, $4, $5, $6)");
        foreach (var text in new[] { slug, organization, shard }) command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = text });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = ReservedSeconds });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = main });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = notFounded });
        return await command.ExecuteScalarAsync(ct) as string;
    }

    /// <summary>How many organizations live on each shard; one without any is not among them.</summary>
    public Task<IReadOnlyDictionary<string, long>> Counts(CancellationToken ct) => Again.Ask<IReadOnlyDictionary<string, long>>(async () =>
    {
        await using var command = main.CreateCommand("select shard, organizations from nubabel.directory_counts()");
        await using var reader = await command.ExecuteReaderAsync(ct);
        var counts = new Dictionary<string, long>();
        while (await reader.ReadAsync(ct)) counts[reader.GetString(0)] = reader.GetInt64(1);
        return counts;
    });

    /// <summary>Makes a reservation lasting; safe to repeat. False when it had run out and another organization has the slug.</summary>
    public async Task<bool> Confirm(string organization, CancellationToken ct)
    {
        await using var command = main.CreateCommand("select nubabel.directory_confirm($1)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = organization });
        return await command.ExecuteScalarAsync(ct) is true;
    }
}
