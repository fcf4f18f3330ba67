using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Nubabel.Domain;

namespace Nubabel.Api.Host;

/// <summary>
/// Says all that is wrong with a body that could not be read: the serializer stops at its first fault, so the body is walked beside the
/// type's own contract. Only refused requests pay for it.
/// </summary>
internal sealed class JsonDiagnosis(JsonSerializerOptions options)
{
    /// <summary>More errors than this help nobody and would make a small request a large answer.</summary>
    private const int MostErrors = 50;

    private readonly List<FieldError> shape = [];
    private readonly List<FieldError> values = [];

    public static Problem Of(ReadOnlySpan<byte> utf8, Type type, Exception first, JsonSerializerOptions options)
    {
        var diagnosis = new JsonDiagnosis(options);
        using var document = JsonDocument.Parse(utf8.ToArray());
        diagnosis.Walk(document.RootElement, options.GetTypeInfo(type), "");
        if (diagnosis.shape.Count + diagnosis.values.Count == 0) diagnosis.Note(first, "");
        // A body of the wrong shape is 400 whatever its values are; only a well-formed one is judged by its values.
        var errors = diagnosis.shape.Count > 0 ? diagnosis.shape : diagnosis.values;
        var one = errors.All(e => e.Code == errors[0].Code);
        var code = one ? errors[0].Code : diagnosis.shape.Count > 0 ? "json.malformed" : "body.invalid";
        return new Problem(code, one && errors.Count == 1 ? errors[0].Message : null)
        {
            Status = diagnosis.shape.Count > 0 ? StatusCodes.Status400BadRequest : StatusCodes.Status422UnprocessableEntity,
            Errors = [.. errors.Where(e => e.Field.Length > 0).Take(MostErrors).Select(Bounded)],
        };
    }

    private void Walk(JsonElement json, JsonTypeInfo type, string path)
    {
        switch (type.Kind)
        {
            // A type with a discriminator reads itself: which members it has depends on the value.
            case JsonTypeInfoKind.Object when type.PolymorphismOptions is null:
                Members(json, type, path);
                break;
            case JsonTypeInfoKind.Enumerable when json.ValueKind == JsonValueKind.Array && type.ElementType is { } item:
                var index = 0;
                foreach (var element in json.EnumerateArray()) Walk(element, options.GetTypeInfo(item), $"{path}[{index++}]");
                break;
            case JsonTypeInfoKind.Dictionary when json.ValueKind == JsonValueKind.Object && type.ElementType is { } item:
                foreach (var member in json.EnumerateObject()) Walk(member.Value, options.GetTypeInfo(item), Under(path, member.Name));
                break;
            default:
                Value(json, type, path);
                break;
        }
    }

    private void Members(JsonElement json, JsonTypeInfo type, string path)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            shape.Add(new FieldError(path, "json.wrong_type", "An object is expected."));
            return;
        }
        var known = type.Properties.Where(p => p.Set is not null || p.AssociatedParameter is not null).ToDictionary(p => p.Name, StringComparer.Ordinal);
        foreach (var member in json.EnumerateObject())
        {
            var at = Under(path, member.Name);
            if (!known.Remove(member.Name, out var property))
                shape.Add(new FieldError(at, "json.unknown_member", "The route does not know this member."));
            else if (member.Value.ValueKind != JsonValueKind.Null) Walk(member.Value, options.GetTypeInfo(property.PropertyType), at);
            else if (!MayBeNull(property)) shape.Add(new FieldError(at, "json.wrong_type", "The member must not be null."));
        }
        foreach (var absent in known.Values.Where(IsNeeded))
            shape.Add(new FieldError(Under(path, absent.Name), "json.missing_member", "The member is missing."));
    }

    private void Value(JsonElement json, JsonTypeInfo type, string path)
    {
        try
        {
            json.Deserialize(type);
        }
        catch (Exception e) when (e is JsonException or Refused)
        {
            Note(e, path);
        }
    }

    /// <summary>A value type refuses by a <see cref="Refused"/>, bare or inside a JsonException; anything else is a wrong type.</summary>
    private void Note(Exception e, string path)
    {
        var at = e is JsonException { Path: { Length: > 2 } inner } ? Under(path, inner.StartsWith("$.", StringComparison.Ordinal) ? inner[2..] : inner[1..]) : path;
        if ((e as Refused ?? e.InnerException as Refused) is { } refused)
            values.Add(new FieldError(refused.Field is { } field && at.Length == 0 ? field : at, refused.Code, refused.Message));
        else
            shape.Add(new FieldError(at, "json.wrong_type", OwnMessage(e) ?? "The value has the wrong type or form."));
    }

    // The serializer's own messages name .NET types; only those that our converters wrote are for clients.
    private static string? OwnMessage(Exception e) =>
        e.Message.Contains("System.", StringComparison.Ordinal) || e.Message.Contains("Path:", StringComparison.Ordinal) || e.Message.Contains("JSON", StringComparison.Ordinal)
            ? null
            : e.Message;

    private static bool MayBeNull(JsonPropertyInfo p) =>
        Nullable.GetUnderlyingType(p.PropertyType) is not null || (!p.PropertyType.IsValueType && (p.AssociatedParameter?.IsNullable ?? p.IsSetNullable));

    private static bool IsNeeded(JsonPropertyInfo p) => p.IsRequired || p.AssociatedParameter is { HasDefaultValue: false };

    private static FieldError Bounded(FieldError e) =>
        e.Field.Length <= JsonScan.LongestField ? e : e with { Field = e.Field[..JsonScan.LongestField] + "…" };

    private static string Under(string path, string name) => path.Length == 0 ? name : name.StartsWith('[') ? path + name : path + "." + name;
}
