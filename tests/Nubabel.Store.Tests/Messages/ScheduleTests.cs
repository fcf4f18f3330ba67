using System.Collections.Concurrent;
using System.Globalization;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>Recurring messages on several processes, through restarts and absences.</summary>
public sealed class ScheduleTests : IAsyncLifetime
{
    // Processes tick whatever schedules they find, so these have a database of their own.
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.New();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Each_tick_comes_once_over_two_processes_and_a_restart()
    {
        var ticks = new ConcurrentQueue<string>();
        var options = QueueOptions.Fast(MessageNode.Queue());
        Task Handle(Note note, MessageContext context)
        {
            ticks.Enqueue(context.Delivery.Headers["tick"]);
            return Task.CompletedTask;
        }
        var (one, two) = (await MessageNode.Start(options, Handle, "one", database), await MessageNode.Start(options, Handle, "two", database));
        var schedules = new Schedules(database.Database.Daemon, one.Outbox);
        for (var i = 0; i < 5; i++) await schedules.Set(new Schedule(Tally.Tenant(), $"s{i}", "* * * * *", new Note("tick")) { Missed = MissedTicks.All }, default);
        // Two hours of ticks at once, so that both have much to do.
        await database.Run("update nubabel.schedules set next = date_trunc('minute', now()) - interval '119 min'");
        await MessageNode.Until(() => Task.FromResult(ticks.Count > 100), () => $"{ticks.Count} ticks");
        // A restart says its schedules again; an old state of the table comes back to life, as after a restore.
        await one.DisposeAsync();
        await database.Run("update nubabel.schedules set next = date_trunc('minute', now()) - interval '119 min' where name = 's0'");
        var three = await MessageNode.Start(options, Handle, "three", database);
        await MessageNode.Until(async () => await database.Scalar<long>("select count(*) from nubabel.schedules where next <= now()") == 0, () => "ticks are left");
        // No minute begins while they are counted: all schedules end at the same one, and nobody is in the middle of a tick.
        await MessageNode.Until(async () =>
        {
            await database.Run("""
                do $$ begin
                  lock table nubabel.schedules in exclusive mode;
                  update nubabel.schedules set paused = true where (select count(distinct next) = 1 from nubabel.schedules);
                end $$
                """);
            return await database.Scalar<long>("select count(*) from nubabel.schedules where paused") == 5;
        }, () => "the schedules do not stand at the same minute");
        await two.Done();
        await two.DisposeAsync();
        await three.DisposeAsync();

        var counts = ticks.GroupBy(t => t).ToDictionary(g => g.Key, g => g.Count());
        // A minute may have begun meanwhile.
        Assert.InRange(counts.Count, 120, 122);
        Assert.All(counts.Values, count => Assert.Equal(5, count));
    }

    [Theory]
    [InlineData(MissedTicks.Skip, 0)]
    [InlineData(MissedTicks.Once, 1)]
    [InlineData(MissedTicks.All, 24)]
    public async Task The_ticks_of_an_absence_are_treated_as_the_schedule_says(MissedTicks missed, int expected)
    {
        var now = await database.Scalar<DateTime>("select now()");
        var hour = new DateTimeOffset(now.AddMinutes(-30), TimeSpan.Zero);
        // Every hour, half an hour away from now.
        var row = new Schedules.Row("t", "n", $"{hour.Minute.ToString(CultureInfo.InvariantCulture)} * * * *", "UTC", missed, "note", "{}", null, "system:test",
            new DateTimeOffset(hour.Year, hour.Month, hour.Day, hour.Hour, hour.Minute, 0, TimeSpan.Zero).AddHours(-23));
        var (ticks, next) = Schedules.TicksOf(row, new DateTimeOffset(now, TimeSpan.Zero));
        Assert.Equal(expected, ticks.Count);
        Assert.Equal(row.Next.AddHours(24), next);
        if (expected > 0) Assert.Equal(row.Next.AddHours(23), ticks[^1]);
    }

    [Fact]
    public async Task A_tick_in_time_comes_whatever_is_said_of_missed_ones()
    {
        var ticks = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), (note, _) =>
        {
            ticks.Enqueue(note.Text);
            return Task.CompletedTask;
        }, on: database);
        var schedules = new Schedules(database.Database.Daemon, node.Outbox);
        var tenant = Tally.Tenant();
        foreach (var missed in Enum.GetValues<MissedTicks>()) await schedules.Set(new Schedule(tenant, missed.ToString(), "*/5 * * * *", new Note(missed.ToString())) { Missed = missed }, default);
        await schedules.Set(new Schedule(tenant, "paused", "* * * * *", new Note("paused")), default);
        Assert.True(await schedules.Pause(tenant, "paused", true, default));
        await database.Run("update nubabel.schedules set next = now() - interval '1 s'");
        await MessageNode.Until(() => Task.FromResult(ticks.Count == 3), () => $"{ticks.Count} of 3");
        Assert.Equal(["All", "Once", "Skip"], ticks.Order());
        // Saying it again leaves the next tick where it is; other times move it.
        var before = await schedules.List(default);
        await schedules.Set(new Schedule(tenant, "All", "*/5 * * * *", new Note("changed")) { Missed = MissedTicks.All }, default);
        Assert.Equal(before, await schedules.List(default));
        await schedules.Set(new Schedule(tenant, "All", "0 0 1 1 *", new Note("changed")) { Missed = MissedTicks.All, Zone = "Europe/Berlin" }, default);
        Assert.NotEqual(before.Single(s => s.Name == "All").Next, (await schedules.List(default)).Single(s => s.Name == "All").Next);
        Assert.True(await schedules.Remove(tenant, "All", default));
        Assert.Equal(3, (await schedules.List(default)).Count);
    }
}
