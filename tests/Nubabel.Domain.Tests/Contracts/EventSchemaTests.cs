using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using Nubabel.Projections;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Contracts;

/// <summary>
/// The schemas of all stored events equal <c>docs/contracts/events.schema.json</c>, so that a change of contract shows in the diff.
/// <c>NUBABEL_WRITE_CONTRACTS=1</c> rewrites the file.
/// </summary>
[Trait("Category", "Contract")]
public sealed class EventSchemaTests
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", Encoder = StoredJson.Options.Encoder };

    [Fact]
    public void The_schemas_of_all_events_are_the_ones_in_the_contract()
    {
        var path = Repository.At("docs", "contracts", "events.schema.json");
        var today = Schemas().ToJsonString(Indented) + "\n";
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") File.WriteAllText(path, today);
        Assert.True(File.Exists(path) && File.ReadAllText(path) == today, "The events' schemas have changed: NUBABEL_WRITE_CONTRACTS=1 rewrites the file; look at its diff.");
    }

    [Fact]
    public void A_schema_says_what_a_value_type_looks_like()
    {
        var device = Schemas()["$defs"]!["device_registered"]!;
        Assert.Equal("uuid", (string?)device["properties"]!["owner"]!["format"]);
        Assert.Equal("object", (string?)device["properties"]!["name"]!["type"]);
        Assert.Equal("string", (string?)device["properties"]!["nameKey"]!["type"]);
        Assert.Equal(["string", "null"], device["properties"]!["publicKey"]!["type"]!.AsArray().Select(n => (string?)n));
        Assert.Equal(["mobile", "desktop", "web"], device["properties"]!["type"]!["enum"]!.AsArray().Select(n => (string?)n));
        Assert.Equal(["owner", "name", "nameKey", "type"], device["required"]!.AsArray().Select(n => (string?)n));
    }

    private static JsonObject Schemas() => new()
    {
        ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
        ["title"] = "Stored events by alias",
        ["$defs"] = new JsonObject(EventCatalog.All.OrderBy(e => e.Alias, StringComparer.Ordinal).Select(e => KeyValuePair.Create(e.Alias, (JsonNode?)Schema(e.Type)))),
    };

    private static JsonNode Schema(Type type) =>
        StoredJson.Options.GetJsonSchemaAsNode(type, new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Describe });

    private static JsonNode Describe(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (Described(context.TypeInfo.Type, nullable: false) is { } described) return described;
        // The exporter forgets the context of an opaque member that has a default, so such a member is described from its owner.
        foreach (var member in context.TypeInfo.Properties)
            if (schema["properties"]?[member.Name] is JsonObject plain && !plain.ContainsKey("type") && Described(member.PropertyType, member.IsGetNullable) is { } shape)
                schema["properties"]![member.Name] = shape;
        return schema;
    }

    // What has a converter of its own is opaque to the exporter.
    private static JsonObject? Described(Type type, bool nullable)
    {
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Id<>))
            return new JsonObject { ["type"] = Named("string"), ["format"] = "uuid", ["description"] = $"The id of a {type.GetGenericArguments()[0].Name}." };
        if (type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IValue<>)))
            return new JsonObject { ["type"] = Named("string"), ["description"] = type.Name };
        if (type.IsEnum)
            return new JsonObject { ["enum"] = new JsonArray([.. Enum.GetNames(type).Select(name => (JsonNode)JsonNamingPolicy.CamelCase.ConvertName(name))]) };
        if (type == typeof(DateTimeOffset)) return new JsonObject { ["type"] = Named("string"), ["format"] = "date-time" };
        if (type == typeof(Domain.Flags.Percentage)) return new JsonObject { ["type"] = Named("number"), ["minimum"] = 0, ["maximum"] = 100, ["multipleOf"] = 0.01 };
        if (type != typeof(Personal)) return null;
        return new JsonObject
        {
            ["type"] = Named("object"),
            ["description"] = "Sealed with the key of subject s.",
            ["properties"] = new JsonObject
            {
                ["$p"] = new JsonObject { ["const"] = 1 },
                ["s"] = new JsonObject { ["type"] = "string" },
                ["c"] = new JsonObject { ["type"] = "string" },
            },
            ["required"] = new JsonArray("$p", "s", "c"),
        };

        JsonNode Named(string name) => nullable ? new JsonArray(name, "null") : name;
    }
}
