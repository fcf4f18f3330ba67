namespace Nubabel.Store;

/// <summary>Handles one message. It may be called again with the same message, so what it does outside of its journal must be safe to do twice.</summary>
public delegate Task MessageHandler<in T>(T message, MessageContext context) where T : class;

/// <summary>The handlers of a process, named one by one. A process works on the queues whose messages it can handle, all of them.</summary>
public sealed class MessageHandlers(MessageTypes types)
{
    private readonly Dictionary<string, Func<object, MessageContext, Task>> byAlias = [];

    public MessageTypes Types { get; } = types;

    /// <summary>The queues that this process works on.</summary>
    public IEnumerable<QueueOptions> Queues => byAlias.Keys.Select(a => Types.Find(a)!.Queue).Distinct().Select(Types.Queue);

    public MessageHandlers On<T>(MessageHandler<T> handler) where T : class
    {
        var type = Types.All.FirstOrDefault(t => t.Type == typeof(T)) ?? throw new InvalidOperationException($"{typeof(T).Name} is not among the types of messages.");
        if (!byAlias.TryAdd(type.Alias, (body, context) => handler((T)body, context))) throw new InvalidOperationException($"{type.Alias} has a handler already.");
        return this;
    }

    internal Func<object, MessageContext, Task>? Of(string alias) => byAlias.GetValueOrDefault(alias);
}
