using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Erasures;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>Erasures that meet each other, and all else that goes on for the person meanwhile, on two nodes.</summary>
[Collection(TwoNodes.Name)]
public sealed class ErasureRaceTests(TwoNodes nodes)
{
    [Fact]
    public async Task Eight_at_once_are_one_erasure_with_one_receipt()
    {
        var bob = await (await nodes.A.SignUp()).Colleague();
        var clients = nodes.Clients(bob);
        var replies = await Burst.Of(8, i => Reply.To(clients[i % 2], "DELETE", i % 3 == 0 ? "/api/user" : "/api/user/account", key: $"k{i % 4}"));
        Assert.All(replies, r => Assert.True(r.Status == 200, r.ToString()));
        Assert.Single(replies.Select(r => r.Body).Distinct());
        foreach (var type in new[] { "user_left", "erasure_requested", "erasure_completed" }) Assert.Equal((type, 1), (type, await nodes.Events(bob, type)));
    }

    [Fact]
    public async Task A_receipt_is_the_same_at_every_node_while_others_ask_for_it()
    {
        var bob = await (await nodes.A.SignUp()).Colleague();
        var receipt = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        var asked = await Burst.Of(8, i => Reply.To(i % 2 == 0 ? nodes.A.Client : nodes.B.Client, "GET", $"/api/erasure-receipts/{receipt.Text("code")}"));
        Assert.All(asked, r => Assert.Equal((200, bob.User, "completed", receipt.Text("statement")), (r.Status, r.Text("id"), r.Text("state"), r.Text("statement"))));
        Assert.Single(asked.Select(r => r.Body).Distinct());
    }

    [Fact]
    public async Task Of_the_last_two_owners_at_once_one_stays()
    {
        for (var round = 0; round < 3; round++)
        {
            var ada = await nodes.A.SignUp();
            var bob = await ada.Colleague(Role.Owner);
            var replies = await Burst.Of(2, i => Reply.To(i == 0 ? ada.Client : nodes.B.As(bob.AccessToken), "DELETE", "/api/user/account"));
            Assert.Equal(["200 ", "409 organization.last_owner"], replies.Select(r => $"{r.Status} {r.Code}").Order(StringComparer.Ordinal));
        }
    }

    /// <summary>Whoever was let in a moment before may still write; what that leaves is found by the second look.</summary>
    [Fact]
    public async Task What_the_person_does_meanwhile_leaves_nothing()
    {
        var bob = await (await nodes.A.SignUp()).Colleague();
        var clients = nodes.Clients(bob);
        using var stop = new CancellationTokenSource();
        var doing = Enumerable.Range(0, 6).Select(i => Task.Run(async () =>
        {
            var statuses = new HashSet<int>();
            for (var n = 0; !stop.IsCancellationRequested; n++)
            {
                var reply = (i % 3) switch
                {
                    0 => await Reply.To(clients[n % 2], "POST", "/api/devices", new { name = $"d{i}-{n}", type = "web" }, key: $"canary-{i}-{n}"),
                    1 => await Reply.To(clients[n % 2], "PATCH", "/api/user", new { name = $"Bob {i} {n}" }, key: $"canary-{i}-{n}"),
                    _ => await TwoNodes.SignInAt(n % 2 == 0 ? nodes.A : nodes.B, bob),
                };
                statuses.Add(reply.Status);
            }
            return statuses;
        })).ToArray();
        await Burst.Until("there is something to erase", TimeSpan.FromSeconds(10), async () => await nodes.Events(bob, "device_registered") > 3 && await nodes.Events(bob, "session_opened") > 2);

        var erased = await Reply.To(clients[0], "DELETE", "/api/user/account");
        Assert.True(erased.Status is 200 or 202, erased.ToString());
        await Task.Delay(300);
        await stop.CancelAsync();
        var answered = (await Task.WhenAll(doing)).SelectMany(s => s).Distinct().Order();
        Assert.Empty(answered.Except([200, 201, 401, 404, 409, 412, 429, 503]));

        await nodes.Database.Run($"update nubabel.deferred_messages set due = now() where tenant_id = '{bob.Id}' and type = 'erasure-order'");
        await Burst.Until("the second look is over", TimeSpan.FromSeconds(20), async () => await nodes.Database.Scalar<long>($"""
            select (select count(*) from nubabel.messages where tenant_id = '{bob.Id}' and type = 'erasure-order')
              + (select count(*) from nubabel.deferred_messages where tenant_id = '{bob.Id}' and type = 'erasure-order')
              + (select count(*) from nubabel.idempotency where tenant_id = '{bob.Id}')
              + (select count(*) from nubabel.claims where tenant_id = '{bob.Id}' and stream_id like 'device-%')
              + (select count(distinct stream_id) from events.mt_events e where tenant_id = '{bob.Id}' and type = 'session_opened' and data ->> 'holder' = 'user:{bob.User}'
                   and not exists (select from events.mt_events r where r.tenant_id = e.tenant_id and r.stream_id = e.stream_id and r.type = 'session_revoked'))
            """) == 0);
        Assert.Equal(1, await nodes.Events(bob, "erasure_completed"));
        Assert.All(await Burst.Of(2, i => Reply.To(clients[i], "GET", "/api/user")), r => Assert.Equal(401, r.Status));
    }

    [Fact]
    public async Task A_refresh_at_the_same_time_gets_nobody_in()
    {
        for (var round = 0; round < 3; round++)
        {
            var bob = await (await nodes.A.SignUp()).Colleague();
            var refreshing = Burst.Of(4, i => Reply.To(nodes.Anonymous[i % 2], "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken }));
            var erased = await Reply.To(bob.Client, "DELETE", "/api/user/account");
            Assert.Equal(200, erased.Status);
            foreach (var reply in await refreshing)
            {
                Assert.True(reply.Status is 200 or 400 or 409, reply.ToString());
                if (reply.Status != 200) continue;
                var token = reply.Text("access_token");
                using var client = nodes.B.As(token);
                await Burst.Until("the token gets nobody in", TimeSpan.FromSeconds(5), async () => (await Reply.To(client, "GET", "/api/user")).Status == 401);
                Assert.Equal(400, (await Reply.To(nodes.Anonymous[0], "POST", "/api/auth/refresh", new { refresh_token = reply.Text("refresh_token") })).Status);
            }
        }
    }

    [Fact]
    public async Task A_bundle_that_is_made_meanwhile_shows_nothing_of_the_person()
    {
        var ada = await nodes.A.SignUp();
        var bob = await ada.Colleague();
        Assert.Equal(200, (await Reply.To(bob.Client, "PATCH", "/api/user", new { name = "Zweibelbob" })).Status);
        var own = await Reply.To(bob.Client, "POST", "/api/user/data-exports");
        var all = await Reply.To(ada.Client, "POST", "/api/organization/data-exports");
        var reading = Reply.To(ada.Client, "GET", "/api/user/data-export");
        var erased = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        Assert.Equal((202, 202, 200), (own.Status, all.Status, erased.Status));
        Assert.Equal(200, (await reading).Status);

        JobEnd? end = null;
        await Burst.Until("the organization's job has ended", TimeSpan.FromSeconds(30), async () => (end = JobEnd.Of(await Reply.To(ada.Client, "GET", all.Location!))).State is "completed" or "failed" or "cancelled");
        if (end!.Link is { } link)
        {
            using var answer = await ada.Client.GetAsync(link);
            // Made before, it is gone; made after, the person is not in it.
            if ((int)answer.StatusCode == 200) Assert.DoesNotContain("Zweibelbob", (await DataExports.Bundle.Download(ada.Client, link[..^"/content".Length])).Text("data.json"), StringComparison.Ordinal);
            else
            {
                // What is gone is in no list, and in nobody's way.
                Assert.Equal(410, (int)answer.StatusCode);
                Assert.Empty((await Reply.To(ada.Client, "GET", "/api/organization/data-exports")).Json.GetProperty("items").EnumerateArray());
            }
        }
        Assert.Equal(0, await nodes.Database.Scalar<long>($"select count(*) from nubabel.sealed_files where tenant_id = '{bob.Id}' and subject = 'user-{bob.User}'"));
        Assert.Equal(0, await nodes.Database.Scalar<long>($"select count(*) from nubabel.dead_letters where tenant_id = '{bob.Id}'"));
    }

    [Fact]
    public async Task Who_is_held_is_not_erased_and_who_is_erased_is_not_held()
    {
        var ada = await nodes.A.SignUp();
        var (bob, eve) = (await ada.Colleague(), await ada.Colleague());
        Assert.Equal(201, (await Reply.To(ada.Client, "POST", "/api/legal-holds", new { userId = bob.User, reason = "proceedings" })).Status);
        var held = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        Assert.Equal((409, "legal_hold.active"), (held.Status, held.Code));
        Assert.Equal(200, (await Reply.To(bob.Client, "GET", "/api/user")).Status);
        Assert.Equal(0, await nodes.Events(bob, "erasure_requested"));

        var replies = await Burst.Of(2, i => i == 0
            ? Reply.To(nodes.B.As(eve.AccessToken), "DELETE", "/api/user/account")
            : Reply.To(ada.Client, "POST", "/api/legal-holds", new { userId = eve.User, reason = "proceedings" }));
        Assert.True((replies[0].Status, replies[1].Status) is (200, 409) or (409, 201), string.Join('\n', replies.AsEnumerable()));
    }

    /// <summary>Sessions on other nodes, and what they remember, go within a second.</summary>
    [Fact]
    public async Task The_other_node_forgets_within_a_second()
    {
        var ada = await nodes.A.SignUp();
        var bob = await ada.Colleague();
        using var there = nodes.B.As(bob.AccessToken);
        Assert.Equal(200, (await Reply.To(there, "GET", "/api/user")).Status);
        using var owner = nodes.B.As(ada.AccessToken);
        Assert.Equal("Bob", (await Reply.To(owner, "GET", $"/api/members/{bob.User}")).Text("name"));

        Assert.Equal(200, (await Reply.To(bob.Client, "DELETE", "/api/user/account")).Status);
        var erased = TimeProvider.System.GetTimestamp();
        await WithinASecond("the other node lets nobody in", erased, async () => (await Reply.To(there, "GET", "/api/user")).Status == 401);
        await WithinASecond("the other node opens nothing", erased, async () =>
            !(await Reply.To(owner, "GET", "/api/audit-logs")).Json.GetProperty("items").EnumerateArray().Any(e => e.GetRawText().Contains("\"Bob\"", StringComparison.Ordinal)));
    }

    /// <summary>A letter that is being delivered is let go of, and nothing of it comes back as a dead letter.</summary>
    [Fact]
    public async Task A_message_in_hand_is_taken_away()
    {
        var bob = await (await nodes.A.SignUp()).Colleague();
        var node = nodes.A.Services.GetRequiredService<Node>();
        var subject = $"user-{bob.User}";
        // Its lane is in somebody's hand for as long as the test needs.
        await nodes.Database.Run($$"""
            insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, subject, actor) values ('mail', '{{bob.Id}}', '!77', 77, gen_random_uuid(), 'letter', '{}', '{{subject}}', 'user:{{bob.User}}');
            insert into nubabel.lanes (queue, tenant_id, lane, until) values ('mail', '{{bob.Id}}', '!77', now() + interval '1 hour')
            """);
        Assert.Equal(200, (await Reply.To(bob.Client, "DELETE", "/api/user/account")).Status);
        Assert.Equal(0, await nodes.Database.Scalar<long>($"select (select count(*) from nubabel.messages where subject = '{subject}') + (select count(*) from nubabel.dead_letters where subject = '{subject}')"));
        await Assert.ThrowsAsync<SubjectErased>(async () => await node.Seal(bob.Id, subject, "late", default));
        await nodes.Database.Run($"delete from nubabel.lanes where tenant_id = '{bob.Id}'");
    }

    /// <summary>What the process had begun, the message ends.</summary>
    [Fact]
    public async Task What_was_only_begun_is_ended_by_the_message()
    {
        var bob = await (await nodes.A.SignUp()).Colleague();
        var erasures = nodes.A.Services.GetRequiredService<Api.Erasures.Erasures>();
        await erasures.Begin(nodes.A.Services.GetRequiredService<Node>().Journal(bob.Id, new Origin("system:test")), Id<User>.Parse(bob.User), Domain.Erasures.ErasureWish.Retention, default);
        Assert.Equal(0, await nodes.Events(bob, "erasure_completed"));
        await nodes.Database.Run($"update nubabel.deferred_messages set due = now() where tenant_id = '{bob.Id}' and type = 'erasure-order'");
        await Burst.Until("the erasure is completed", TimeSpan.FromSeconds(15), async () => await nodes.Events(bob, "erasure_completed") == 1);
    }

    /// <summary>So for every request that begins more than a second later. How long one takes, and how late it is sent, is the machine's affair.</summary>
    private static async Task WithinASecond(string what, long since, Func<Task<bool>> isSo)
    {
        for (var began = TimeProvider.System.GetElapsedTime(since); !await isSo(); began = TimeProvider.System.GetElapsedTime(since))
        {
            Assert.True(began < TimeSpan.FromSeconds(1), $"Not so for who asked after {began}: {what}.");
            await Task.Delay(5);
        }
    }

    private sealed record JobEnd(string State, string? Link)
    {
        public static JobEnd Of(Reply job) => new(job.Text("state"), job.Json.TryGetProperty("result", out var result) && result.TryGetProperty("link", out var link) ? link.GetString() : null);
    }
}
