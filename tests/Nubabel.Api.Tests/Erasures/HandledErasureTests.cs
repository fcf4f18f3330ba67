using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Attempts;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>What is being done in the background for somebody who is erased meanwhile.</summary>
public sealed class HandledErasureTests
{
    [Fact]
    public async Task A_letter_that_is_being_delivered_is_let_go_of_and_what_was_counted_is_told_without_an_address()
    {
        await using var database = await TestDatabase.New();
        var carrier = new SlowCarrier();
        await using var api = await TestApi.Start(database, build: builder => builder.Services.AddSingleton<ICarrier>(carrier));
        var bob = await (await api.SignUp()).Colleague(Role.Viewer);
        Assert.Equal(204, (await Reply.To(bob.Client, "PUT", "/api/user/password", new { current = TestTenant.Password, @new = "another battery of horses" })).Status);
        await carrier.Begun.Task.WaitAsync(TimeSpan.FromSeconds(20));
        // The first is told at once, the others wait for the end of the minute.
        for (var i = 0; i < 3; i++) Assert.Equal(403, (await Reply.To(bob.Client, "POST", "/api/devices", new { name = "x", type = "web" })).Status);

        Assert.Equal(200, (await Reply.To(bob.Client, "DELETE", "/api/user/account")).Status);
        Assert.Equal(0, await Messages(database, bob));
        carrier.Go.SetResult();
        await carrier.Ended.Task.WaitAsync(TimeSpan.FromSeconds(20));
        await api.Services.GetRequiredService<RefusedAttempts>().Flush(all: true, default);

        await Burst.Until("nothing of it is left", TimeSpan.FromSeconds(10), async () => await Messages(database, bob) == 0);
        Assert.Equal(1, await database.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'attempt-user-{bob.User}' and data ->> 'count' = '2' and headers ->> 'ip' is null"));
    }

    private static Task<long> Messages(TestDatabase database, TestTenant bob) => database.Scalar<long>($"""
        select (select count(*) from nubabel.messages where subject = 'user-{bob.User}') + (select count(*) from nubabel.dead_letters where subject = 'user-{bob.User}')
        """);

    private sealed class SlowCarrier : ICarrier
    {
        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public TaskCompletionSource Go { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task Carry(Mime message, string subject, CancellationToken ct)
        {
            Begun.TrySetResult();
            await Go.Task;
            Ended.TrySetResult();
        }
    }
}
