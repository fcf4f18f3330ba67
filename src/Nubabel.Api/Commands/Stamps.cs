using Npgsql;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>
/// Facts that a database keeps about who may serve it: its environment, and the master key its secrets are wrapped with. A process of another
/// environment, or with another key, would do damage and is refused.
/// </summary>
public static class Stamps
{
    /// <returns>The root of the database.</returns>
    /// <exception cref="StampMismatch">The database belongs to another environment.</exception>
    /// <exception cref="MasterKeyRefused">It belongs to another master key.</exception>
    public static async Task<RootKey> Check(NpgsqlDataSource daemon, string environment, MasterKeys masters, CancellationToken ct)
    {
        if (await Stamp(daemon, "environment", environment, ct) is { } other)
            throw new StampMismatch($"This database belongs to the environment {other}, and this process to {environment}. Environment__Name says which.");
        return await RootKeys.Open(daemon, masters, ct);
    }

    // The stamp of the first process that serves the database stands; null when it is ours.
    private static async Task<string?> Stamp(NpgsqlDataSource daemon, string name, string value, CancellationToken ct)
    {
        await using var batch = daemon.CreateBatch();
        batch.BatchCommands.Add(new("insert into nubabel.stamps (name, value) values ($1, $2) on conflict do nothing")
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = name }, new NpgsqlParameter<string> { TypedValue = value } },
        });
        batch.BatchCommands.Add(new("select value from nubabel.stamps where name = $1") { Parameters = { new NpgsqlParameter<string> { TypedValue = name } } });
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        var stands = reader.GetString(0);
        return stands == value ? null : stands;
    }
}

/// <summary>The database is not this process's to serve.</summary>
public sealed class StampMismatch(string message) : Exception(message);
