using Microsoft.AspNetCore.Http;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>A real process that is killed while it delivers.</summary>
public sealed class KilledTests
{
    [Fact]
    public async Task An_event_that_was_delivered_by_a_process_that_died_comes_again_under_the_same_id()
    {
        await using var database = await TestDatabase.New();
        await using var receiver = await Receiver.Start();
        // Somebody who answers requests and delivers nothing.
        await using var witness = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await witness.SignUp();
        var consumer = await acme.Consume(receiver);
        Received first;
        await using (var node = await NodeProcess.Start(database))
        {
            // It has said yes and dies before it can write that down: the answer is on its way while the signal is sent.
            receiver.Answer = async (http, _) =>
            {
                await node.Kill();
                http.Response.StatusCode = 204;
            };
            await acme.Device();
            first = await receiver.Next();
            await node.ExitCode(TimeSpan.FromSeconds(20));
            await node.EndSessions();
        }
        Assert.Equal("waiting", await database.Scalar<string>("select state from nubabel.deliveries"));
        receiver.Say(204);
        // Nobody renews its lease any more; that it runs out is not waited for.
        await database.Run("update nubabel.workers set until = now() - interval '1 second'");
        await using var other = await TestApi.Start(database);
        Assert.Equal(first.Id, (await receiver.Next()).Id);
        await Burst.Until("it is delivered", TimeSpan.FromSeconds(20), async () => await database.Scalar<string>("select state from nubabel.deliveries") == "delivered");
        Assert.Equal(2, receiver.Calls.Count);
        await Burst.Until("its message is done", TimeSpan.FromSeconds(20), async () => await database.Scalar<long>("select count(*) from nubabel.messages where type = 'event-delivery'") == 0);
        Assert.Equal("delivered", (await acme.Delivery(consumer, _ => true)).Text("state"));
    }
}
