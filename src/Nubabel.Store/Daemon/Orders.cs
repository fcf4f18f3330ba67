using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What an operator ordered of a projection: an event of its stream of orders (<c>projection-devices</c>, of the platform).</summary>
/// <param name="Place">Its version in the stream.</param>
/// <param name="Position">Its place in the log.</param>
/// <param name="Version">The version of the projection that is meant.</param>
/// <param name="Subject">The position of the event that is to be skipped.</param>
internal sealed record Order(long Place, long Position, string Type, int? Version, string? Tenant, string? Key, long? Subject, string? Reason, string? By, DateTimeOffset At);

/// <summary>How far a projection has followed its orders.</summary>
/// <param name="Applied">The place of the last order that took effect.</param>
/// <param name="Given">The place of the last order there is.</param>
internal sealed record OrderState(bool IsPaused, long Applied, long Given);

/// <summary>
/// The operators' orders as the log has them. The engine knows no class of the domain: the aliases and members that are read here are a contract, which the
/// golden files of these events hold.
/// </summary>
internal static class Orders
{
    public const string Paused = "projection_paused", Resumed = "projection_resumed", Retried = "projection_key_retried", Skipped = "projection_event_skipped";

    /// <summary>So many are read at once.</summary>
    private const int Most = 200;

    public static string StreamOf(Projection projection) => $"projection-{projection.ReadModel}";

    /// <summary>How far the projections have followed theirs, in one look at keys.</summary>
    public static async Task<IReadOnlyDictionary<string, OrderState>> States(NpgsqlDataSource daemon, IReadOnlyList<Projection> projections, CancellationToken ct)
    {
        var states = new Dictionary<string, OrderState>();
        if (projections.Count == 0) return states;
        await using var command = daemon.CreateCommand($"""
            select n.progression, p.progression is not null, coalesce(a.applied, 0), coalesce(s.version, 0)
            from unnest($1::varchar[], $2::varchar[]) n (progression, stream)
            left join nubabel.paused p on p.progression = n.progression
            left join nubabel.orders_applied a on a.progression = n.progression
            left join events.mt_streams s on s.tenant_id = '{Projection.PlatformTenant}' and s.id = n.stream
            """);
        command.AddArray(projections.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(projections.Select(StreamOf).ToArray(), NpgsqlDbType.Varchar);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) states[reader.GetString(0)] = new OrderState(reader.GetBoolean(1), reader.GetInt64(2), reader.GetInt64(3));
        return states;
    }

    /// <summary>The next orders that have not taken effect yet, in their order. They are read by their place in the stream, which has no gaps.</summary>
    public static async Task<IReadOnlyList<Order>> Pending(NpgsqlDataSource daemon, Projection projection, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"""
            select e.version, e.seq_id, e.type, (e.data->>'version')::int, e.data->>'tenant', e.data->>'key', (e.data->>'position')::bigint, e.data->>'reason', e.user_name, e.timestamp
            from events.mt_events e
            where e.tenant_id = '{Projection.PlatformTenant}' and e.stream_id = $1
              and e.version > coalesce((select a.applied from nubabel.orders_applied a where a.progression = $2), 0)
            order by e.version limit {Most}
            """);
        command.Add(StreamOf(projection));
        command.Add(projection.ProgressionName);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var orders = new List<Order>();
        while (await reader.ReadAsync(ct))
        {
            orders.Add(new Order(reader.GetInt64(0), reader.GetInt64(1), reader.GetString(2), reader.IsDBNull(3) ? null : reader.GetInt32(3), Text(4), Text(5),
                reader.IsDBNull(6) ? null : reader.GetInt64(6), Text(7), Text(8), new DateTimeOffset(reader.GetDateTime(9), TimeSpan.Zero)));
        }
        return orders;

        string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }
}
