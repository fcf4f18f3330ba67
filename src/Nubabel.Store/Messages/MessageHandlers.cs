namespace Nubabel.Store;

/// <summary>Handles one message. It may be called again with the same message, so what it does outside of its journal must be safe to do twice.</summary>
public delegate Task MessageHandler<in T>(T message, MessageContext context) where T : class;

/// <summary>
/// What is to be said when a message is given up: a message that is enqueued with its dead letter, in one transaction. So whoever waits for the outcome hears of
/// it once for each time the message dies, whatever becomes of the process. Pure; null for nothing.
/// </summary>
/// <param name="given">The message that was given up.</param>
/// <param name="cause">The kind of its last error.</param>
public delegate Message? LastWord(Delivery given, string cause);

/// <summary>The handlers of a process, named one by one. A process works on the queues whose messages it can handle, all of them.</summary>
public sealed class MessageHandlers(MessageTypes types)
{
    private readonly Dictionary<string, Func<object, MessageContext, Task>> byAlias = [];
    private readonly Dictionary<string, LastWord> lastWords = [];

    public MessageTypes Types { get; } = types;

    /// <summary>The queues that this process works on.</summary>
    public IEnumerable<QueueOptions> Queues => byAlias.Keys.Select(a => Types.Find(a)!.Queue).Distinct().Select(Types.Queue);

    /// <param name="lastWord">What is enqueued when a message of this type is given up.</param>
    public MessageHandlers On<T>(MessageHandler<T> handler, LastWord? lastWord = null) where T : class
    {
        var type = Types.All.FirstOrDefault(t => t.Type == typeof(T)) ?? throw new InvalidOperationException($"{typeof(T).Name} is not among the types of messages.");
        if (!byAlias.TryAdd(type.Alias, (body, context) => handler((T)body, context))) throw new InvalidOperationException($"{type.Alias} has a handler already.");
        if (lastWord is not null) lastWords[type.Alias] = lastWord;
        return this;
    }

    internal Func<object, MessageContext, Task>? Of(string alias) => byAlias.GetValueOrDefault(alias);

    internal Message? LastWordOf(Delivery given, string cause) => lastWords.GetValueOrDefault(given.Type)?.Invoke(given, cause);
}
