using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>How often other nodes are told that the log has grown.</summary>
public sealed class WakeUpTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Many_appends_are_few_notifications_and_the_last_append_is_told_of()
    {
        var heard = 0;
        await using var listener = await database.Daemon.OpenConnectionAsync();
        listener.Notification += (_, _) => Interlocked.Increment(ref heard);
        await using (var listen = new NpgsqlCommand("listen nubabel_events", listener)) await listen.ExecuteNonQueryAsync();
        await using var node = await DaemonNode.Started(database);
        // The first one may come before the notifier listens to the process's signal.
        await TestWait.Until("one append is heard", async () =>
        {
            await node.Log.Append(TallyLog.NewStream(), new TallyOpened("first"));
            return await listener.WaitAsync(TimeSpan.FromMilliseconds(50));
        });
        while (await listener.WaitAsync(TimeSpan.FromMilliseconds(100))) { }
        Volatile.Write(ref heard, 0);

        const int Writers = 16, Each = 100;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < Each; i++) await node.Log.Append(TallyLog.NewStream(), new TallyOpened("t"));
        })));
        // At most one in 5 ms, and one for what was appended during the last pause.
        var most = (int)(clock.ElapsedMilliseconds / 5) + 2;
        while (await listener.WaitAsync(TimeSpan.FromMilliseconds(200))) { }
        Assert.InRange(Volatile.Read(ref heard), 1, Math.Min(most, Writers * Each / 2));

        Volatile.Write(ref heard, 0);
        await node.Log.Append(TallyLog.NewStream(), new TallyOpened("last"));
        Assert.True(await listener.WaitAsync(TestWait.Bound));
        Assert.Equal(1, heard);
    }
}
