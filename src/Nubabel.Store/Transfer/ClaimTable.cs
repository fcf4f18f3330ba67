using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>A claim of a stream.</summary>
internal readonly record struct Claimed(string Tenant, string Stream, ClaimValue Claim);

/// <summary>Writes claims of any tenants' streams, for whoever writes to the log or makes what follows from it anew. With the daemon login.</summary>
internal static class ClaimTable
{
    public static async Task<int> Release(NpgsqlConnection connection, IReadOnlyList<Claimed> claims, CancellationToken ct)
    {
        if (claims.Count == 0) return 0;
        await using var command = new NpgsqlCommand("""
            delete from nubabel.claims h using unnest($1, $2, $3, $4) u (tenant, stream, scope, value)
             where h.tenant_id = u.tenant and h.scope = u.scope and h.value = u.value and h.stream_id = u.stream
            """, connection);
        Add(command, claims);
        return await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Takes them. What the stream holds already counts as taken. The first that another stream holds, with its holder, or null.</summary>
    public static async Task<(Claimed Wanted, string Holder)?> Take(NpgsqlConnection connection, IReadOnlyList<Claimed> claims, CancellationToken ct) =>
        await TakeFree(connection, claims, ct) is [var first, ..] ? first : null;

    /// <summary>Takes those that no other stream holds, and says who holds the others. Of two in the list that are the same value the first has it.</summary>
    public static async Task<IReadOnlyList<(Claimed Wanted, string Holder)>> TakeFree(NpgsqlConnection connection, IReadOnlyList<Claimed> claims, CancellationToken ct)
    {
        if (claims.Count == 0) return [];
        var first = new Dictionary<(string, ClaimValue), string>();
        Claimed[] wanted = [.. claims.Where(c => first.TryAdd((c.Tenant, c.Claim), c.Stream))];
        var held = claims.Where(c => first[(c.Tenant, c.Claim)] != c.Stream).Select(c => (c, first[(c.Tenant, c.Claim)])).ToList();
        await using (var command = new NpgsqlCommand("""
            insert into nubabel.claims as h (tenant_id, scope, value, stream_id)
            select u.tenant, u.scope, u.value, u.stream from unnest($1, $2, $3, $4) u (tenant, stream, scope, value) order by u.tenant collate "C", u.scope collate "C", u.value collate "C"
            on conflict (tenant_id, scope, value) do update set stream_id = excluded.stream_id where h.stream_id = excluded.stream_id
            """, connection))
        {
            Add(command, wanted);
            if (await command.ExecuteNonQueryAsync(ct) == wanted.Length) return held;
        }
        await using var others = new NpgsqlCommand("""
            select u.n, h.stream_id from unnest($1, $2, $3, $4) with ordinality u (tenant, stream, scope, value, n)
              join nubabel.claims h on h.tenant_id = u.tenant and h.scope = u.scope and h.value = u.value where h.stream_id <> u.stream order by u.n
            """, connection);
        Add(others, wanted);
        var before = held.Count;
        await using var reader = await others.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) held.Add((wanted[(int)reader.GetInt64(0) - 1], reader.GetString(1)));
        // Who held it may have given it up since; then it is as if nobody had looked.
        return held.Count > before ? held : throw new ImportChunk.Raced();
    }

    internal static void Add(NpgsqlCommand command, IReadOnlyList<Claimed> claims)
    {
        command.AddArray(claims.Select(c => c.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(claims.Select(c => c.Stream).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(claims.Select(c => c.Claim.Scope).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(claims.Select(c => c.Claim.Value).ToArray(), NpgsqlDbType.Varchar);
    }
}
