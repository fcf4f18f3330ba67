using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Tells a node which keys have been destroyed, wherever that was. It looks several times a second at a number that grows with each destruction; what it has not
/// been able to see for a moment, the node does not assume. So a key is forgotten everywhere within a second, or the node that cannot hear of it stops remembering.
/// </summary>
public sealed class KeyWatch : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(150);

    /// <summary>More than these are not looked for one by one: everything is forgotten.</summary>
    private const int MostOneByOne = 10_000;

    private readonly NpgsqlDataSource direct;
    private readonly SubjectKeys keys;
    private readonly Loop loop;
    private readonly TaskCompletionSource first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long seen;

    /// <param name="connectionString">The daemon login's.</param>
    public KeyWatch(string connectionString, SubjectKeys keys, ILogger? log = null)
    {
        direct = DirectConnections.To(connectionString, Nodes.Process);
        this.keys = keys;
        loop = new Loop("subject keys", Follow, log ?? NullLogger.Instance, takesItsTime: true);
    }

    /// <summary>Completes when destructions have been heard of for the first time.</summary>
    public Task Heard => first.Task;

    /// <summary>The last failure; null while it looks.</summary>
    public string? LastError => loop.LastError;

    public void Start() => loop.Start();

    public async ValueTask DisposeAsync()
    {
        await loop.DisposeAsync();
        keys.Cache.Hear(0);
        await direct.DisposeAsync();
    }

    private async Task Follow(CancellationToken ct)
    {
        await using var connection = await direct.OpenConnectionAsync(ct);
        // By these locks, which end with the connection, who rotates the master key sees which nodes have which.
        await using (var hold = new NpgsqlCommand(string.Join("; ", keys.Masters.Known.Select(k => KeyRotation.LockOf(k.Fingerprint)).Prepend(0).Select(n => $"select pg_advisory_lock_shared({KeyRotation.Serving}, {n})")), connection))
            await hold.ExecuteNonQueryAsync(ct);
        // Another server may answer now, or an older state of this one: the number is compared with none from before.
        var began = Stopwatch.GetTimestamp();
        seen = await Look(connection, ct);
        keys.Cache.ForgetAll();
        while (true)
        {
            // From when the look began: a destruction that was committed later may not have been in it.
            keys.Cache.Hear(began);
            first.TrySetResult();
            loop.Goes();
            await Task.Delay(Every, ct);
            began = Stopwatch.GetTimestamp();
            var now = await Look(connection, ct);
            if (now == seen) continue;
            await Forget(connection, now, ct);
            seen = now;
        }
    }

    private async Task Forget(NpgsqlConnection connection, long now, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select tenant_id, subject from nubabel.subject_keys where destruction > $1 and destruction <= $2 limit $3", connection);
        command.Add(seen);
        command.Add(now);
        command.Add(MostOneByOne + 1);
        var destroyed = new List<(string, string)>();
        await using (var reader = await command.ExecuteReaderAsync(ct))
            while (await reader.ReadAsync(ct)) destroyed.Add((reader.GetString(0), reader.GetString(1)));
        if (now < seen || destroyed.Count > MostOneByOne) keys.Cache.ForgetAll();
        else keys.Cache.Forget(destroyed);
    }

    private async Task<long> Look(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select number, master from nubabel.key_watch", connection);
        await using var reader = await command.ExecuteReaderAsync(ct);
        if (!await reader.ReadAsync(ct)) throw new InvalidOperationException("nubabel.key_watch has no row.");
        keys.Masters.Use(reader.IsDBNull(1) ? null : reader.GetString(1));
        return reader.GetInt64(0);
    }
}
