using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What the tests send.</summary>
public sealed record Note(string Text, int Number = 0);

/// <summary>A process's worker on one queue of a test's own, with what it needs, on the database that all tests share.</summary>
public sealed class MessageNode : IAsyncDisposable
{
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);
    private readonly TestDatabase database;
    private readonly SubjectKeys keys;

    private MessageNode(TestDatabase database, QueueOptions options, MessageHandler<Note> handler, MessageOptions daemon, LastWord? lastWord)
    {
        this.database = database;
        keys = new SubjectKeys(database.Database, TestDatabase.Master);
        Options = options;
        Outbox = new Outbox(TypesOf(options));
        Daemon = new MessageDaemon(database.Database.Daemon, database.DaemonString, new MessageHandlers(Outbox.Types).On(handler, lastWord), Outbox, (tenant, origin) => Journal(tenant, origin), daemon);
    }

    public QueueOptions Options { get; }
    public Outbox Outbox { get; }
    public MessageDaemon Daemon { get; }

    /// <summary>What was handled, in order, where the handler keeps it here.</summary>
    public ConcurrentQueue<string> Handled { get; } = new();

    public static string Queue() => $"q{Guid.NewGuid():N}"[..20];

    public static MessageTypes TypesOf(QueueOptions options) => new([options], [new MessageType("note", typeof(Note), options.Name)], JsonSerializerOptions.Web);

    public static async Task<MessageNode> Create(QueueOptions options, MessageHandler<Note> handler, string name = "one", TestDatabase? on = null, TimeSpan? drain = null, LastWord? lastWord = null, int? letterDays = 90) =>
        new(on ?? await TestDatabase.Shared, options, handler, new MessageOptions
        {
            Node = name,
            Poll = TimeSpan.FromMilliseconds(200),
            Tick = TimeSpan.FromMilliseconds(20),
            Reap = TimeSpan.FromMilliseconds(100),
            Revive = TimeSpan.FromMilliseconds(50),
            Drain = drain ?? TimeSpan.FromSeconds(5),
            DeadLetterDays = letterDays,
        }, lastWord);

    public static async Task<MessageNode> Start(QueueOptions options, MessageHandler<Note> handler, string name = "one", TestDatabase? on = null, TimeSpan? drain = null, LastWord? lastWord = null)
    {
        var node = await Create(options, handler, name, on, drain, lastWord);
        node.Daemon.Start();
        return node;
    }

    public Journal Journal(string tenant, Origin? origin = null) =>
        new(database.Database, Tally.Types, keys, tenant, origin ?? new Origin("system:test", CorrelationId: "request"), () => { }, TimeProvider.System) { Outbox = Outbox };

    public async Task<IReadOnlyList<Guid>> Send(string tenant, params Message[] messages)
    {
        var journal = Journal(tenant);
        foreach (var message in messages) journal.Enqueue(message);
        return await journal.Send(default);
    }

    /// <summary>Messages of this queue that are not done.</summary>
    public Task<long> Left() => database.Scalar<long>($"select (select count(*) from nubabel.messages where queue = '{Options.Name}') + (select count(*) from nubabel.deferred_messages where queue = '{Options.Name}')");

    public Task<long> Letters() => database.Scalar<long>($"select count(*) from nubabel.dead_letters where queue = '{Options.Name}'");

    /// <summary>Lanes that somebody has in hand or that wait or are parked.</summary>
    public Task<long> Lanes(string where = "true") => database.Scalar<long>($"select count(*) from nubabel.lanes where queue = '{Options.Name}' and {where}");

    public Task<T> Scalar<T>(string sql) => database.Scalar<T>(sql);

    public Task Done(TimeSpan? within = null) => Until(async () => await Left() == 0 && await Lanes("letter is null") == 0, () => $"{Options.Name} is not done: {string.Join("; ", Daemon.Errors)}", within);

    public static async Task Until(Func<Task<bool>> condition, Func<string> what, TimeSpan? within = null)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(clock.Elapsed < (within ?? Bound), what());
            await Task.Delay(10);
        }
    }

    public ValueTask DisposeAsync() => Daemon.DisposeAsync();
}
