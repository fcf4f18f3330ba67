namespace Nubabel.Store.Tests;

public sealed class CommandTurnsTests
{
    private const string Tenant = "t";
    private readonly CommandTurns turns = new(most: 4);

    [Fact]
    public async Task Turns_come_in_the_order_of_coming_and_leave_nothing_behind()
    {
        var first = await Enter("a");
        var (second, third) = (Enter("a"), Enter("a"));
        var other = await Enter("b");
        Assert.False(second.IsCompleted || third.IsCompleted);
        Assert.True(turns.IsTaken(Tenant, "a"));
        Assert.False(turns.IsTaken("another", "a"));
        first.Dispose();
        (await second).Dispose();
        (await third).Dispose();
        other.Dispose();
        // Twice is once.
        first.Dispose();
        Assert.Equal(0, turns.Count);
    }

    [Fact]
    public async Task Who_needs_several_streams_waits_for_all_and_nobody_waits_for_ever()
    {
        var first = await Enter("a");
        var both = Enter("a", "b", "a");
        var back = Enter("b", "a");
        Assert.False(both.IsCompleted || back.IsCompleted);
        first.Dispose();
        (await both).Dispose();
        (await back).Dispose();
        Assert.Equal(0, turns.Count);
    }

    [Fact]
    public async Task Who_goes_while_it_waits_lets_those_behind_it_by()
    {
        using var gone = new CancellationTokenSource();
        var first = await Enter("a");
        // It is the first at one stream and waits at the other.
        var waits = turns.Enter(Tenant, ["a", "b"], gone.Token).AsTask();
        var behind = Enter("b");
        Assert.False(behind.IsCompleted);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        (await behind).Dispose();
        first.Dispose();
        Assert.Equal(0, turns.Count);
    }

    [Fact]
    public async Task A_line_is_bounded()
    {
        var first = await Enter("a");
        var waiting = Enumerable.Range(0, 3).Select(_ => Enter("a")).ToArray();
        Assert.Null(await turns.Enter(Tenant, ["b", "a"], default));
        Assert.False(turns.IsTaken(Tenant, "b"));
        first.Dispose();
        foreach (var turn in waiting) (await turn).Dispose();
        Assert.Equal(0, turns.Count);
    }

    [Fact]
    public async Task What_was_seen_is_shown_to_those_in_line_and_gone_with_the_last_of_them()
    {
        turns.Show(Tenant, "a", Seen(1));
        Assert.Null(turns.Find(Tenant, "a"));
        var first = await Enter("a");
        turns.Show(Tenant, "a", Seen(3));
        turns.Show(Tenant, "a", Seen(2));
        turns.Show(Tenant, "a", Seen(5, from: 2));
        Assert.Equal(3, turns.Find(Tenant, "a")!.Version);
        turns.Forget(Tenant, "a");
        Assert.Null(turns.Find(Tenant, "a"));
        turns.Show(Tenant, "a", Seen(2));
        first.Dispose();
        Assert.Null(turns.Find(Tenant, "a"));
    }

    [Fact]
    public async Task Many_who_come_and_go_at_random_never_have_a_stream_two_at_a_time()
    {
        var streams = new[] { "a", "b", "c" };
        var holders = new int[streams.Length];
        var wide = new CommandTurns();
        var seed = Environment.TickCount;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(w => Task.Run(async () =>
        {
            var random = new Random(seed + w);
            for (var i = 0; i < 200; i++)
            {
                int[] own = [.. Enumerable.Range(0, streams.Length).Where(_ => random.Next(2) == 0)];
                using var gone = new CancellationTokenSource(random.Next(10) == 0 ? random.Next(3) : 5_000);
                try
                {
                    using var turn = await wide.Enter(Tenant, own.Select(s => streams[s]), gone.Token);
                    foreach (var s in own) Assert.Equal(1, Interlocked.Increment(ref holders[s]));
                    if (i % 7 == 0) await Task.Yield();
                    foreach (var s in own) Interlocked.Decrement(ref holders[s]);
                }
                catch (OperationCanceledException)
                {
                    Assert.True(gone.IsCancellationRequested, $"seed {seed}");
                }
            }
        }))).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(0, wide.Count);
    }

    [Fact]
    public async Task After_another_node_was_met_the_line_expects_it_for_a_while()
    {
        var first = await Enter("a");
        var next = Enter("a");
        Assert.False(first.IsAmongNodes);
        first.Meet();
        Assert.True(first.IsAmongNodes);
        first.Dispose();
        Assert.True((await next).IsAmongNodes);
        var turn = await next;
        for (var i = 0; i < 50; i++)
        {
            next = Enter("a");
            turn.Dispose();
            turn = await next;
        }
        Assert.False(turn.IsAmongNodes);
        turn.Dispose();
    }

    private static Seen Seen(int to, int from = 1) => Store.Seen.Nothing(new StreamFolds()).On([.. Enumerable.Range(from, to - from + 1).Select(v => new Recorded
    {
        Position = v, Tenant = Tenant, Stream = "a", Version = v, Type = "x", Data = null, At = default,
    })]);

    private Task<StreamTurn> Enter(params string[] streams) => turns.Enter(Tenant, streams, default).AsTask()!;
}
