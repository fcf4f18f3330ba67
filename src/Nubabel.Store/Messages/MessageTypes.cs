using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Store;

/// <summary>A type of message.</summary>
/// <param name="Alias">What is stored; never changes while messages of it may wait.</param>
/// <param name="Type">The .NET type of its body.</param>
/// <param name="Queue">The queue that carries it.</param>
public sealed record MessageType(string Alias, Type Type, string Queue);

/// <summary>Every type of message and every queue of the product, and how bodies are written as JSON. Built once at start, read by all.</summary>
public sealed partial class MessageTypes
{
    private readonly FrozenDictionary<string, MessageType> byAlias;
    private readonly FrozenDictionary<Type, MessageType> byType;
    private readonly FrozenDictionary<string, QueueOptions> queues;
    private readonly JsonSerializerOptions json;
    private readonly JsonSerializerOptions strict;

    public MessageTypes(IEnumerable<QueueOptions> queues, IEnumerable<MessageType> types, JsonSerializerOptions json)
    {
        var all = types.ToArray();
        this.queues = queues.ToFrozenDictionary(q => q.Name);
        byAlias = all.ToFrozenDictionary(t => t.Alias);
        byType = all.ToFrozenDictionary(t => t.Type);
        // jsonb re-orders members, so a converter must not count on their order.
        this.json = new JsonSerializerOptions(json) { AllowOutOfOrderMetadataProperties = true };
        strict = new JsonSerializerOptions(this.json) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };
        foreach (var queue in this.queues.Keys)
            if (!QueueName().IsMatch(queue)) throw new ArgumentException($"'{queue}' is no name of a queue.", nameof(queues));
        foreach (var type in all)
            if (!this.queues.ContainsKey(type.Queue)) throw new ArgumentException($"{type.Alias} goes to the queue {type.Queue}, which is not there.", nameof(types));
    }

    /// <summary>For how many days a message's once-only id is remembered.</summary>
    public int OnceDays { get; init; } = 7;

    public IEnumerable<QueueOptions> Queues => queues.Values;
    public IEnumerable<MessageType> All => byAlias.Values;

    public QueueOptions Queue(string name) => queues.GetValueOrDefault(name) ?? throw new InvalidOperationException($"There is no queue {name}.");

    public MessageType? Find(string alias) => byAlias.GetValueOrDefault(alias);

    public MessageType Of(object body) => byType.TryGetValue(body.GetType(), out var type)
        ? type
        : throw new InvalidOperationException($"{body.GetType().Name} is not among the types of messages.");

    public string Write(object body) => JsonSerializer.Serialize(body, body.GetType(), json);

    /// <exception cref="JsonException">The alias is not known here, or the text does not fit its type.</exception>
    public object Read(string alias, ReadOnlySpan<byte> body) => byAlias.TryGetValue(alias, out var type)
        ? JsonSerializer.Deserialize(body, type.Type, json) ?? throw new JsonException("The body is null.")
        : throw new JsonException($"There is no type of message '{alias}'.");

    /// <summary>What a person has written, as a body of that type is stored: nothing missing, nothing that the type does not know.</summary>
    /// <exception cref="JsonException">The alias is not known here, or the text does not fit its type.</exception>
    public string Checked(string alias, ReadOnlySpan<byte> body) => byAlias.TryGetValue(alias, out var type)
        ? JsonSerializer.Serialize(JsonSerializer.Deserialize(body, type.Type, strict) ?? throw new JsonException("The body is null."), type.Type, json)
        : throw new JsonException($"There is no type of message '{alias}'.");

    [GeneratedRegex("^[a-z][a-z0-9-]{0,49}$")]
    private static partial Regex QueueName();
}
