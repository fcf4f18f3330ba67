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
    public async Task However_many_appends_there_are_others_are_told_once_in_five_milliseconds_and_of_the_last_one()
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

        // As fast as appends could ever come.
        var clock = Stopwatch.StartNew();
        for (var appends = 0; clock.Elapsed < TimeSpan.FromSeconds(1); appends++)
        {
            node.Signal.Set();
            if (appends % 100 == 0) await Task.Yield();
        }
        // At most one in 5 ms, and one for what was appended during the last pause.
        var most = (int)(clock.ElapsedMilliseconds / 5) + 2;
        while (await listener.WaitAsync(TimeSpan.FromMilliseconds(200))) { }
        Assert.InRange(Volatile.Read(ref heard), 1, most);

        Volatile.Write(ref heard, 0);
        await node.Log.Append(TallyLog.NewStream(), new TallyOpened("last"));
        Assert.True(await listener.WaitAsync(TestWait.Bound));
        Assert.Equal(1, heard);
    }
}
