using System.Buffers.Text;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Npgsql;
using Nubabel.Store;

namespace Nubabel.Api.Host.Tokens;

/// <summary>The public half of a signing key as <c>/.well-known/jwks.json</c> shows it (RFC 7517).</summary>
public sealed record Jwk(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg)
{
    /// <summary>The key that verifies what this one's private half has signed.</summary>
    public ECDsa ToKey() => ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = Base64Url.DecodeFromChars(X), Y = Base64Url.DecodeFromChars(Y) } });
}

/// <summary>A published set of keys.</summary>
public sealed record JwkSet([property: JsonPropertyName("keys")] IReadOnlyList<Jwk> Keys);

/// <summary>
/// The ES256 keys of access tokens. They are in the database, the private halves wrapped by the master key, so that all nodes sign and verify
/// alike. A new key is published some minutes before it signs, so that those who keep the key set know it by then; a retired one verifies until
/// the last token it signed has run out. A node that meets an unknown <c>kid</c> looks again, at most ten times a second for all who ask.
/// </summary>
public sealed class SigningKeys(Database database, MasterKeys masters, TimeProvider time) : IDisposable
{
    private const string Wrapping = "signing-key";

    /// <summary>How long a token may live, and then some for clocks: what a retired key goes on to verify.</summary>
    private static readonly TimeSpan TokensLive = TimeSpan.FromMinutes(20);

    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LookAtMostEvery = TimeSpan.FromMilliseconds(100);
    private readonly SemaphoreSlim loading = new(1);
    private Loaded current = new([], FrozenDictionary<string, ECDsa>.Empty, FrozenDictionary<string, ECDsa>.Empty, null);

    /// <summary>The key that signs now.</summary>
    public async ValueTask<(string Kid, ECDsa Key)> Signing(CancellationToken ct)
    {
        var keys = await Fresh(ct);
        var now = time.GetUtcNow();
        // A node whose clock is behind that of the one which made the first key signs with it all the same: every node verifies it.
        var entry = keys.Entries.Where(e => e.Activates <= now).MaxBy(e => e.Activates) ?? keys.Entries.MinBy(e => e.Activates)
            ?? throw new InvalidOperationException("There is no signing key; the start makes one.");
        return (entry.Jwk.Kid, keys.Private[entry.Jwk.Kid]);
    }

    /// <summary>The key that verifies a token, or null where nobody knows it.</summary>
    public async ValueTask<ECDsa?> Verifying(string kid, CancellationToken ct)
    {
        var known = await Fresh(ct);
        if (!known.Public.ContainsKey(kid))
        {
            // Another node may have begun to sign with a key that is younger than our last look. Whoever invents kids waits for nothing.
            if (Age(known) is var age && age < LookAtMostEvery) await Task.Delay(LookAtMostEvery - age, time, ct);
            known = await After(known, ct);
        }
        return known.Public.GetValueOrDefault(kid);
    }

    public async ValueTask<JwkSet> Published(CancellationToken ct) => new([.. (await Fresh(ct)).Entries.Select(e => e.Jwk)]);

    /// <summary>Makes the first key where there is none.</summary>
    public async Task Ensure(CancellationToken ct)
    {
        await using var connection = await database.Daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await masters.Refresh(database.Daemon, ct);
        // Nodes that start at once on an empty database agree on one key.
        await using var take = new NpgsqlCommand("select pg_advisory_xact_lock(5642163)", connection, transaction);
        await take.ExecuteNonQueryAsync(ct);
        await using var any = new NpgsqlCommand("select exists (select from nubabel.signing_keys where retires is null)", connection, transaction);
        if (await any.ExecuteScalarAsync(ct) is false) await Insert(connection, transaction, time.GetUtcNow(), ct);
        await transaction.CommitAsync(ct);
    }

    /// <summary>Adds a key that signs from <paramref name="after"/> on; those before it sign until then and verify until their last token has run out.</summary>
    public async Task<(string Kid, DateTimeOffset Activates)> Rotate(TimeSpan after, CancellationToken ct)
    {
        await using var connection = await database.Daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await masters.Refresh(database.Daemon, ct);
        var activates = time.GetUtcNow() + after;
        var kid = await Insert(connection, transaction, activates, ct);
        await using var retire = new NpgsqlCommand("update nubabel.signing_keys set retires = $2 where kid <> $1 and retires is null", connection, transaction);
        retire.Parameters.Add(new NpgsqlParameter<string> { TypedValue = kid });
        retire.Parameters.Add(new NpgsqlParameter<DateTime> { TypedValue = (activates + TokensLive).UtcDateTime });
        await retire.ExecuteNonQueryAsync(ct);
        await transaction.CommitAsync(ct);
        return (kid, activates);
    }

    public void Dispose() => loading.Dispose();

    private async Task<string> Insert(NpgsqlConnection connection, NpgsqlTransaction transaction, DateTimeOffset activates, CancellationToken ct)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var q = key.ExportParameters(false).Q;
        var kid = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(12));
        var jwk = new Jwk("EC", "P-256", Base64Url.EncodeToString(q.X), Base64Url.EncodeToString(q.Y), kid, "sig", "ES256");
        await using var insert = new NpgsqlCommand("insert into nubabel.signing_keys (kid, public, wrapped, activates) select $1, $2::jsonb, $3, $4 where nubabel.wraps($5)", connection, transaction);
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = kid });
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = System.Text.Json.JsonSerializer.Serialize(jwk, Json.Options) });
        insert.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = masters.Wrap(Wrapping, kid, key.ExportPkcs8PrivateKey(), out var by) });
        insert.Parameters.Add(new NpgsqlParameter<DateTime> { TypedValue = activates.UtcDateTime });
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = by });
        if (await insert.ExecuteNonQueryAsync(ct) == 0) throw new MasterKeyRefused("The master key was exchanged at this moment; try again.");
        return kid;
    }

    private async ValueTask<Loaded> Fresh(CancellationToken ct)
    {
        var seen = current;
        return Age(seen) < LookAgain ? seen : await After(seen, ct);
    }

    /// <summary>By the clock that is never set: by one that is set back an hour, nobody would look again for an hour.</summary>
    private TimeSpan Age(Loaded keys) => keys.At is { } at ? time.GetElapsedTime(at) : TimeSpan.MaxValue;

    /// <summary>The keys as somebody has looked at them after <paramref name="seen"/>.</summary>
    private async Task<Loaded> After(Loaded seen, CancellationToken ct)
    {
        await loading.WaitAsync(ct);
        try
        {
            if (!ReferenceEquals(current, seen)) return current;
            try
            {
                return current = await Load(ct);
            }
            catch (NpgsqlException) when (current.Entries.Count > 0)
            {
                // Without the database the keys of half a minute ago still verify; what needs the database says so itself.
                return current;
            }
        }
        finally
        {
            loading.Release();
        }
    }

    private Task<Loaded> Load(CancellationToken ct) => Again.Ask(async () =>
    {
        await using var command = database.Api.CreateCommand("select public::text, wrapped, activates, retires from nubabel.signing_keys where retires is null or retires > now() order by activates");
        await using var reader = await command.ExecuteReaderAsync(ct);
        var entries = new List<Entry>();
        var opened = new Dictionary<string, ECDsa>();
        while (await reader.ReadAsync(ct))
        {
            var jwk = System.Text.Json.JsonSerializer.Deserialize<Jwk>(reader.GetString(0), Json.Options)!;
            entries.Add(new Entry(jwk, new DateTimeOffset(reader.GetDateTime(2), TimeSpan.Zero), reader.IsDBNull(3) ? null : new DateTimeOffset(reader.GetDateTime(3), TimeSpan.Zero)));
            var key = ECDsa.Create();
            key.ImportPkcs8PrivateKey(masters.Unwrap(Wrapping, jwk.Kid, reader.GetFieldValue<byte[]>(1)), out _);
            opened[jwk.Kid] = key;
        }
        return new Loaded(entries, entries.ToFrozenDictionary(e => e.Jwk.Kid, e => e.Jwk.ToKey()), opened.ToFrozenDictionary(), time.GetTimestamp());
    });

    private sealed record Entry(Jwk Jwk, DateTimeOffset Activates, DateTimeOffset? Retires);

    // Replaced keys are left to the collector: another request may be signing with one at this moment.
    private sealed record Loaded(IReadOnlyList<Entry> Entries, FrozenDictionary<string, ECDsa> Public, FrozenDictionary<string, ECDsa> Private, long? At);
}
