using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;

namespace Nubabel.Api.Flags;

/// <summary>Flags by key, as they are for the organization that asks.</summary>
public sealed record FlagValues(IReadOnlyDictionary<string, FlagValue> Flags);

/// <summary>What the flags are for the caller's organization.</summary>
public static class FlagsApi
{
    private const int MostKeys = 100;
    private const int TagBytes = 12;

    public static void MapFlags(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/flags", Values).WithTags("Flags").Needs("flags:read").Answers200<FlagValues>()
            .WithExample(response: """{"flags":{"dark-mode":{"enabled":true,"reason":"rule"},"no-such-flag":{"enabled":false,"reason":"unknown"}}}""");

    private static IResult Values(string? keys, HttpContext http, Caller caller, Evaluation evaluation)
    {
        var organization = Guid.Parse(caller.Tenant);
        var wanted = keys is null ? evaluation.Keys : Asked(keys);
        // A key is a key, also one that no flag could have: it is unknown and no error.
        var values = new SortedDictionary<string, FlagValue>(StringComparer.Ordinal);
        foreach (var key in wanted) values.TryAdd(key, evaluation.Evaluate(key, organization));
        var body = JsonSerializer.SerializeToUtf8Bytes(new FlagValues(values), Json.Options);
        // There is no stream that these are the version of; so the tag is of what is answered, and who polls is spared the rest.
        http.Response.Headers.CacheControl = "no-cache";
        return ETags.IsKnown(http, $"\"{Base64Url.EncodeToString(SHA256.HashData(body).AsSpan(0, TagBytes))}\"")
            ? Results.StatusCode(StatusCodes.Status304NotModified)
            : Results.Bytes(body, "application/json");
    }

    private static string[] Asked(string keys)
    {
        var asked = keys.Split(',', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal).ToArray();
        return asked.Length <= MostKeys ? asked : throw Problem.At("keys", "flag.too_many_keys", $"At most {MostKeys} keys are asked for at once.");
    }
}
