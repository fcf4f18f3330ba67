using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>
/// A worker in a process of its own, so that it can be killed and stopped as an operating system does it: this very assembly, started with arguments.
/// </summary>
public sealed class WorkerProcess : IAsyncDisposable
{
    /// <summary>The streams of messages without a key, and of those that others have enqueued.</summary>
    public const string Loose = "loose", Further = "further";

    /// <summary>So many messages enqueue a further one.</summary>
    public const int Every = 10;

    private readonly Child process;

    private WorkerProcess(Child process) => (this.process, Ready) = (process, Begun(process));

    /// <summary>Once it works.</summary>
    public Task Ready { get; }

    /// <summary>Short leases, so that there is something to see within seconds.</summary>
    public static QueueOptions Options(string queue) => QueueOptions.Fast(queue) with
    {
        Lease = TimeSpan.FromSeconds(1.5),
        Concurrency = 8,
        InHand = 64,
        // Who is killed at random again and again is not guilty.
        Losses = 1_000_000,
    };

    public static WorkerProcess Start(TestDatabase database, string queue, string name) =>
        new(Child.Start(typeof(WorkerProcess).Assembly.Location, ["worker", database.ApiString, database.DaemonString, queue, name]));

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public Task Kill() => process.Kill();

    /// <summary>SIGSTOP: it stands still and does not know.</summary>
    public Task Freeze() => process.Send("STOP");

    /// <summary>SIGCONT.</summary>
    public Task Thaw() => process.Send("CONT");

    public ValueTask DisposeAsync() => process.DisposeAsync();

    private static async Task Begun(Child process)
    {
        await process.Line("ready");
        process.Drain();
    }

    /// <summary>The other side: works on the queue until it is killed. Each message's effect is an event, in the order of its key.</summary>
    internal static async Task<int> Work(string[] args)
    {
        if (args is not ["worker", var api, var daemon, var queue, var name]) return 1;
        await using var database = Database.Open("main", api, daemon);
        var outbox = new Outbox(MessageNode.TypesOf(Options(queue)));
        var keys = new SubjectKeys(database, TestDatabase.Master);
        var handlers = new MessageHandlers(outbox.Types).On<Note>(Effect);
        await using var messages = new MessageDaemon(database.Daemon, daemon, handlers, outbox,
            (tenant, origin) => new Journal(database, Tally.Types, keys, tenant, origin, () => { }, TimeProvider.System) { Outbox = outbox },
            new MessageOptions { Node = name, Poll = TimeSpan.FromMilliseconds(200), Tick = TimeSpan.FromMilliseconds(50), Reap = TimeSpan.FromMilliseconds(200) });
        messages.Start();
        Console.WriteLine("ready");
        // Nobody writes; when it ends, its parent has gone.
        await Console.In.ReadLineAsync();
        return 0;
    }

    private static async Task Effect(Note note, MessageContext context)
    {
        // Long enough that there is always something in hand when it is killed.
        await Task.Delay(Random.Shared.Next(2, 30), context.Cancellation);
        if (note.Text == "hang" && context.Delivery.Losses == 0) await Task.Delay(Timeout.Infinite, context.Cancellation);
        if (note.Text.Length == 0 && note.Number % Every == 0) context.Journal.Enqueue(new Message(new Note(Further, note.Number)));
        var stream = $"tally-{context.Delivery.Key ?? $"{(note.Text.Length == 0 ? Loose : note.Text)}-{context.Delivery.Id}"}";
        await context.Journal.Append(context.Journal.Now(), [Tally.On(stream, StreamAppend.Any, new Counted(note.Number))], context.Cancellation);
    }
}
