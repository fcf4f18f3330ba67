using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Nubabel.Domain;

namespace Nubabel.Api.Host.OpenApi;

/// <summary>
/// Makes an example of a type, where an operation gives none of its own: the same person and organization everywhere, so that the document
/// reads as one story. A test reads every request example back as the edge would.
/// </summary>
internal static class Samples
{
    private const int Deepest = 6;

    /// <summary>By the value type's name first, then by the member's, since plain strings say what they are only by that.</summary>
    private static readonly Dictionary<string, string> Texts = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Email"] = "ada@example.com",
        ["PersonName"] = "Ada Lovelace",
        ["Password"] = "correct horse battery staple",
        ["current"] = "correct horse battery staple",
        ["new"] = "wrong donkey charger clip",
        ["OrganizationName"] = "Acme",
        ["organization"] = "acme",
        ["Slug"] = "acme",
        ["DeviceName"] = "Ada's phone",
        ["PublicKey"] = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
        ["EndpointUrl"] = "https://hooks.example.com/nubabel",
        ["PublicType"] = "nubabel.device.registered.v1",
        ["ApiKeyName"] = "nightly export",
        ["Scope"] = "members:read",
        ["Reason"] = "Lost on a train",
        ["kty"] = "EC",
        ["crv"] = "P-256",
        ["use"] = "sig",
        ["alg"] = "ES256",
        ["token_type"] = "Bearer",
        ["actor"] = "user:" + Schemas.IdExample,
        ["object"] = "device-" + Schemas.IdExample,
        ["action"] = "device.registered",
        ["outcome"] = "done",
        ["status"] = "healthy",
        ["service"] = "nubabel-backend",
        ["version"] = "0.1.0",
        ["role"] = "owner",
        ["ip"] = "203.0.113.9",
        ["userAgent"] = "Mozilla/5.0",
        ["holder"] = "user:" + Schemas.IdExample,
        ["traceId"] = "0af7651916cd43dd8448eb211c80319c",
        ["next"] = "…",
    };

    /// <summary>What only an ended thing has; the examples are alive.</summary>
    private static readonly HashSet<string> Ends = ["revokedAt", "revocationReason"];

    public static JsonNode? Of(Type type, string member = "", int depth = 0)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type.IsEnum) return JsonNamingPolicy.CamelCase.ConvertName(Enum.GetNames(type).First(n => n != "None"));
        if (type == typeof(Guid) || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Id<>))) return Schemas.IdExample;
        if (type == typeof(DateTimeOffset) || type == typeof(DateTime)) return "2026-01-31T12:00:00Z";
        if (type == typeof(string) && member == "name") return "devices";
        if (type == typeof(Personal) || type == typeof(string)) return Text(member);
        if (Schemas.IsText(type)) return Texts.GetValueOrDefault(type.Name) ?? Text(member);
        if (type == typeof(bool)) return true;
        if (type == typeof(int) || type == typeof(long)) return member.Contains("expires", StringComparison.OrdinalIgnoreCase) ? 900 : 1;
        if (type == typeof(Domain.Flags.Percentage)) return 12.5;
        if (type == typeof(double) || type == typeof(decimal)) return 0.5;
        if (type == typeof(TimeSpan)) return "00:00:01";
        return type == typeof(JsonElement) || depth >= Deepest ? null : Made(Json.Options.GetTypeInfo(type), depth);
    }

    private static JsonNode? Made(JsonTypeInfo type, int depth) => type.Kind switch
    {
        JsonTypeInfoKind.Object => Members(type, depth),
        JsonTypeInfoKind.Enumerable when type.ElementType is { } item => new JsonArray(Of(item, "", depth + 1)),
        JsonTypeInfoKind.Dictionary when type.ElementType is { } value => new JsonObject { ["name"] = Of(value, "", depth + 1) },
        _ => null,
    };

    private static JsonObject Members(JsonTypeInfo type, int depth)
    {
        var made = new JsonObject();
        foreach (var property in type.Properties.Where(p => !Ends.Contains(p.Name)))
            if (Of(property.PropertyType, property.Name, depth + 1) is { } value) made[property.Name] = value;
        return made;
    }

    private static string Text(string member) => member switch
    {
        "name" => "Ada Lovelace",
        _ when Texts.TryGetValue(member, out var text) => text,
        _ when member.EndsWith("_id", StringComparison.Ordinal) || member.EndsWith("Id", StringComparison.Ordinal) || member is "id" => Schemas.IdExample,
        _ when member.Contains("token", StringComparison.OrdinalIgnoreCase) => "…",
        _ => "text",
    };
}
