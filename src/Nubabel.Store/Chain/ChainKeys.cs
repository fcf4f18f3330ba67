using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;

namespace Nubabel.Store;

/// <summary>The ES256 keys of checkpoints, shared by all nodes. The youngest one signs; all of them verify for good, since a checkpoint outlives the key that signed it.</summary>
public sealed class ChainKeys(NpgsqlDataSource daemon, MasterKeys masters)
{
    private const string Wrapping = "audit-key";

    /// <summary>The key that signs from now on; the first is made when it is asked for.</summary>
    public async Task<(string Kid, ECDsa Key)> Signing(CancellationToken ct)
    {
        if (await Youngest(ct) is not { } youngest)
        {
            await Add(onlyFirst: true, ct);
            youngest = await Youngest(ct) ?? throw new InvalidOperationException("There is no audit key.");
        }
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(masters.Unwrap(Wrapping, youngest.Kid, youngest.Wrapped), out _);
        return (youngest.Kid, key);
    }

    /// <summary>Adds a key, which signs what is signed from now on.</summary>
    public Task<string> Rotate(CancellationToken ct) => Add(onlyFirst: false, ct);

    /// <summary>The public halves as a key set (RFC 7517), the oldest first.</summary>
    public static async Task<JsonObject> Published(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var command = source.CreateCommand("select public::text from nubabel.audit_keys order by created, kid");
        await using var reader = await command.ExecuteReaderAsync(ct);
        var keys = new JsonArray();
        while (await reader.ReadAsync(ct)) keys.Add(JsonNode.Parse(reader.GetString(0)));
        return new JsonObject { ["keys"] = keys };
    }

    /// <summary>What verifies statements by the keys of a set.</summary>
    /// <exception cref="FormatException">It is no set of P-256 keys.</exception>
    public static Func<string, ECDsa?> Verifying(JsonElement set)
    {
        var byKid = new Dictionary<string, ECDsa>(StringComparer.Ordinal);
        try
        {
            foreach (var key in set.GetProperty("keys").EnumerateArray())
            {
                var point = new ECPoint { X = Base64Url.DecodeFromChars(key.GetProperty("x").GetString()), Y = Base64Url.DecodeFromChars(key.GetProperty("y").GetString()) };
                byKid[key.GetProperty("kid").GetString()!] = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point });
            }
        }
        catch (Exception other) when (other is KeyNotFoundException or InvalidOperationException or FormatException or CryptographicException or ArgumentNullException)
        {
            throw new FormatException("The keys are not a JSON Web Key Set of P-256 keys.", other);
        }
        return kid => byKid.GetValueOrDefault(kid);
    }

    private async Task<(string Kid, byte[] Wrapped)?> Youngest(CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select kid, wrapped from nubabel.audit_keys order by created desc, kid desc limit 1");
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct) ? (reader.GetString(0), reader.GetFieldValue<byte[]>(1)) : null;
    }

    private async Task<string> Add(bool onlyFirst, CancellationToken ct)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var q = key.ExportParameters(false).Q;
        var kid = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(12));
        var jwk = new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(q.X), ["y"] = Base64Url.EncodeToString(q.Y), ["kid"] = kid, ["use"] = "sig", ["alg"] = "ES256" };
        await using var command = daemon.CreateCommand($"""
            insert into nubabel.audit_keys (kid, public, wrapped) select $1, $2::jsonb, $3 where nubabel.wraps($4) {(onlyFirst ? "and not exists (select from nubabel.audit_keys)" : "")}
            """);
        command.Add(kid);
        command.Add(jwk.ToJsonString());
        await masters.Refresh(daemon, ct);
        command.Add(masters.Wrap(Wrapping, kid, key.ExportPkcs8PrivateKey(), out var by));
        command.Add(by);
        if (await command.ExecuteNonQueryAsync(ct) == 0 && !onlyFirst) throw new MasterKeyRefused("The master key was exchanged at this moment; try again.");
        return kid;
    }
}
