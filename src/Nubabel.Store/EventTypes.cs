using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nubabel.Store;

/// <summary>One stored event type.</summary>
/// <param name="Alias">What <c>mt_events.type</c> holds; never changes, never re-used.</param>
/// <param name="Type">The .NET type it is read as today.</param>
/// <param name="Upcasts">
/// Steps from older shapes to today's, in order: the n-th makes shape n+1 out of shape n. An event's shape is the number <c>$v</c> in its
/// headers, 1 where it is absent.
/// </param>
public sealed record EventType(string Alias, Type Type, params Func<JsonObject, JsonObject>[] Upcasts)
{
    /// <summary>The shape that is written today.</summary>
    public int Shape => Upcasts.Length + 1;

    /// <summary><c>mt_dotnet_type</c>: <c>Namespace.Type, Assembly</c>.</summary>
    public string DotNetName { get; } = $"{Type.FullName}, {Type.Assembly.GetName().Name}";
}

/// <summary>Every event type of the product by alias and by .NET type, and how they are written as JSON. Built once at start, read by all.</summary>
public sealed class EventTypes
{
    private readonly FrozenDictionary<string, EventType> byAlias;
    private readonly FrozenDictionary<Type, EventType> byType;

    public EventTypes(IEnumerable<EventType> types, JsonSerializerOptions json)
    {
        var all = types.ToArray();
        byAlias = all.ToFrozenDictionary(t => t.Alias);
        byType = all.ToFrozenDictionary(t => t.Type);
        // jsonb re-orders members, so a converter must not count on their order.
        Json = new JsonSerializerOptions(json) { AllowOutOfOrderMetadataProperties = true };
    }

    public JsonSerializerOptions Json { get; }
    public IEnumerable<EventType> All => byAlias.Values;
    public EventType Of(object data) => byType.TryGetValue(data.GetType(), out var type)
        ? type
        : throw new InvalidOperationException($"{data.GetType().Name} is not in the event catalogue.");
    public EventType? Find(string alias) => byAlias.GetValueOrDefault(alias);

    /// <summary>Reads stored JSON as today's type; null for an alias that this build does not know.</summary>
    /// <exception cref="JsonException">The stored text does not fit the type: the event is poison.</exception>
    public object? Read(string alias, ReadOnlySpan<byte> data, int shape = 1)
    {
        if (!byAlias.TryGetValue(alias, out var type)) return null;
        if (shape >= type.Shape) return JsonSerializer.Deserialize(data, type.Type, Json);
        var node = JsonNode.Parse(data)!.AsObject();
        for (var i = shape; i < type.Shape; i++) node = type.Upcasts[i - 1](node);
        return node.Deserialize(type.Type, Json);
    }

    public string Write(object data) => JsonSerializer.Serialize(data, data.GetType(), Json);
}
