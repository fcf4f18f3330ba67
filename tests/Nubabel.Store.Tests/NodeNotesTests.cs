using System.Collections.Concurrent;

namespace Nubabel.Store.Tests;

public sealed class NodeNotesTests
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(20);

    private sealed class Node(EngineDatabase database, string channel) : IAsyncDisposable
    {
        public ConcurrentQueue<string> Outgoing { get; } = new();
        public ConcurrentQueue<string> Heard { get; } = new();
        public NodeNotes Notes => field ??= new NodeNotes(database.DaemonConnectionString, channel, Every, () => Outgoing.TryDequeue(out var note) ? [note] : [], Heard.Enqueue);

        public static async Task<Node> Listening(EngineDatabase database, string channel = "notes_test")
        {
            var node = new Node(database, channel);
            node.Notes.Start();
            await Until(() => node.Notes.Listening == 1);
            return node;
        }

        public ValueTask DisposeAsync() => Notes.DisposeAsync();
    }

    [Fact]
    public async Task A_note_reaches_every_other_node_and_not_its_own()
    {
        await using var database = await EngineDatabase.Create();
        await using Node a = await Node.Listening(database), b = await Node.Listening(database), c = await Node.Listening(database), other = await Node.Listening(database, "another_channel");
        var longest = new string('x', NodeNotes.LongestNote);
        a.Outgoing.Enqueue("it's me");
        a.Outgoing.Enqueue(longest);
        await Until(() => b.Heard.Count == 2 && c.Heard.Count == 2);
        Assert.Equal(["it's me", longest], b.Heard);
        b.Outgoing.Enqueue("heard");
        await Until(() => a.Heard.Count == 1 && c.Heard.Count == 3);
        Assert.Equal((1, 2, 0), (a.Heard.Count, b.Heard.Count, other.Heard.Count));
    }

    [Fact]
    public async Task A_cut_connection_is_made_again()
    {
        await using var database = await EngineDatabase.Create();
        await using Node a = await Node.Listening(database), b = await Node.Listening(database);
        await using (var cut = database.Daemon.CreateCommand("select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and usename = current_user and datname = current_database()"))
            await cut.ExecuteScalarAsync();
        await Until(() => a.Notes.Listening > 1 && b.Notes.Listening > 1);
        a.Outgoing.Enqueue("again");
        await Until(() => b.Heard.Contains("again"));
    }

    [Fact]
    public void A_channel_is_a_plain_name() => Assert.Throws<ArgumentException>(() => new NodeNotes("Host=x", "a; drop table b", Every, () => [], _ => { }));

    private static async Task Until(Func<bool> isSo)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(10), "Not so in time.");
            await Task.Delay(5);
        }
    }
}
