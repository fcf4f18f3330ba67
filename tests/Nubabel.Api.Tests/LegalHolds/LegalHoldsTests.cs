using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.LegalHolds;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.LegalHolds;

public sealed class LegalHoldsTests
{
    private const string Path = "/api/legal-holds", AdminPath = "/api/admin/legal-holds";

    [Fact]
    public async Task An_owner_places_a_hold_sees_it_and_releases_it_with_reasons_that_no_table_holds()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var reason = $"proceedings {Guid.NewGuid():N}";
        var placed = await Reply.To(acme.Client, "POST", Path, new { reason, userId = acme.User });
        Assert.Equal((201, reason, "active", acme.User, false), (placed.Status, placed.Text("reason"), placed.Text("status"), placed.Text("userId"), placed.Json.GetProperty("byOperator").GetBoolean()));
        var hold = $"{Path}/{placed.Text("id")}";
        Assert.Equal(hold, placed.Location);
        Assert.Equal(0L, await api.Database.Scalar<long>($"select count(*) from events.mt_events where data::text like '%{reason}%' or headers::text like '%{reason}%'"));

        Assert.Equal(placed.Text("id"), (await List(acme.Client, $"{Path}?status=active&userId={acme.User}", placed.Position!))[0]);
        Assert.Equal((412, "resource.version_mismatch"), await Code(Reply.To(acme.Client, "PUT", $"{hold}/release", new { reason = "settled" }, ifMatch: "\"7\"")));
        var released = await Reply.To(acme.Client, "PUT", $"{hold}/release", new { reason = "settled" }, ifMatch: placed.ETag);
        Assert.Equal((200, "released", "settled", reason), (released.Status, released.Text("status"), released.Text("releaseReason"), released.Text("reason")));
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", $"{hold}/release", new { reason = "settled once more" })).Status);
        Assert.Equal("settled", (await Reply.To(acme.Client, "GET", hold)).Text("releaseReason"));
        Assert.Empty(await List(acme.Client, $"{Path}?status=active", released.Position!));
    }

    [Fact]
    public async Task Whom_the_ledger_has_erased_after_a_restore_no_hold_can_keep()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var (member, services) = (await acme.Colleague(), acme.Api.Services);
        var journal = services.GetRequiredService<Node>().Journal(acme.Id, new Origin("system:erasure"));
        await services.GetRequiredService<Nubabel.Api.Erasures.Erasures>().Begin(journal, Id<User>.Parse(member.User), Nubabel.Domain.Erasures.ErasureWish.Ledger, default);
        Assert.Equal((409, "legal_hold.too_late"), await Code(Reply.To(acme.Client, "POST", Path, new { reason = "x", userId = member.User })));
    }

    [Fact]
    public async Task A_hold_is_on_a_user_of_the_organization_and_owners_alone_place_it()
    {
        var api = await TestApi.Shared;
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        Assert.Equal((422, "legal_hold.user_missing"), await Code(Reply.To(acme.Client, "POST", Path, new { reason = "x", userId = other.User })));
        Assert.Equal((400, "query.invalid"), await Code(Reply.To(acme.Client, "GET", $"{Path}?status=lost")));
        var admin = (await acme.Colleague(Role.Admin)).Client;
        Assert.Equal((403, "permission.denied"), await Code(Reply.To(admin, "POST", Path, new { reason = "x" })));
        Assert.Equal((403, "permission.denied"), await Code(Reply.To(admin, "GET", Path)));
    }

    [Fact]
    public async Task An_operators_hold_is_in_the_organizations_trail_and_only_an_operator_releases_it()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        using var platform = await api.Operator();
        Assert.Equal((404, "organization.missing"), await Code(Reply.To(platform, "POST", AdminPath, new { organizationId = Guid.CreateVersion7(), reason = "order of the court" })));
        var placed = await Reply.To(platform, "POST", AdminPath, new { organizationId = acme.Id, reason = "order of the court" });
        Assert.Equal((201, "order of the court", acme.Id, true), (placed.Status, placed.Text("reason"), placed.Text("organizationId"), placed.Json.GetProperty("byOperator").GetBoolean()));
        var id = placed.Text("id");

        Assert.Equal([id], await List(acme.Client, Path, placed.Position!));
        Assert.Equal((403, "legal_hold.by_operator"), await Code(Reply.To(acme.Client, "PUT", $"{Path}/{id}/release", new { reason = "we want it" })));
        Assert.Equal([id], await List(platform, $"{AdminPath}?organizationId={acme.Id}", placed.Position!));
        Assert.Equal("order of the court", (await Reply.To(platform, "GET", $"{AdminPath}/{id}")).Text("reason"));
        Assert.Equal(1L, await api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'legal_hold_placed' and user_name like 'operator:%'"));
        var released = await Reply.To(platform, "PUT", $"{AdminPath}/{id}/release", new { reason = "lifted" });
        Assert.Equal((200, "released"), (released.Status, released.Text("status")));
        Assert.False((await api.Services.GetRequiredService<Holds>().Of(acme.Id, default)).HoldsAll);
    }

    [Fact]
    public async Task An_operators_hold_is_there_at_once_however_far_the_list_is()
    {
        await using var database = await TestDatabase.New();
        // Without the daemon no read model moves.
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await api.SignUp();
        using var platform = await api.Operator();
        Assert.Equal((404, "legal_hold.missing"), await Code(Reply.To(platform, "GET", $"{AdminPath}/{Guid.CreateVersion7()}")));
        var placed = await Reply.To(platform, "POST", AdminPath, new { organizationId = acme.Id, reason = "order of the court" });
        var found = await Reply.To(platform, "GET", placed.Location!);
        Assert.Equal((200, "order of the court", acme.Id), (found.Status, found.Text("reason"), found.Text("organizationId")));
        Assert.Equal((200, "released"), await Reply.To(platform, "PUT", $"{placed.Location}/release", new { reason = "lifted" }) is var released ? (released.Status, released.Text("status")) : default);
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from read.legal_holds_v1"));
    }

    [Fact]
    public async Task A_repeated_request_places_one_hold()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var replies = await Burst.Of(4, _ => Reply.To(acme.Client, "POST", Path, new { reason = "once" }, key: "hold-1"));
        Assert.Single(replies.Select(r => r.Text("id")).Distinct());
        Assert.Equal(1L, await acme.Api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'hold_register_entered'"));
    }

    /// <summary>Each of them may win, but never both: the erasure that begins while a hold is placed on the person, or on everybody.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_a_hold_and_an_erasure_at_the_same_time_one_wins_for_certain(bool onThePerson)
    {
        var api = await TestApi.Shared;
        var node = api.Services.GetRequiredService<Node>();
        var (wins, rounds) = (new int[2], 12);
        for (var round = 0; round < rounds; round++)
        {
            var acme = await api.SignUp();
            var (person, hold) = (Id<User>.Parse(acme.User), Reply.To(acme.Client, "POST", Path, onThePerson ? new { reason = "now", userId = acme.User } : (object)new { reason = "now" }));
            var erasure = Task.Run(async () =>
            {
                try
                {
                    await node.Journal(acme.Id, new Origin("system:test")).Commit([Holds.Admission(acme.Id, person)], default);
                    return true;
                }
                catch (Refused refused) when (refused.Code == "legal_hold.active")
                {
                    return false;
                }
            });
            var (held, erased) = (await hold, await erasure);
            if (onThePerson) Assert.Equal(erased ? (409, "legal_hold.too_late") : (201, null), (held.Status, held.Code));
            // A hold on everybody comes in any case; the stream says which was first, and who was admitted was so before it.
            else Assert.Equal(201, held.Status);
            var order = await api.Database.Scalar<string[]>($"select array_agg(type::text order by version) from events.mt_events where tenant_id = '{acme.Id}' and stream_id = 'hold-register-{acme.Id}'");
            Assert.Equal(
                erased ? onThePerson ? ["hold_register_erasure_admitted"] : ["hold_register_erasure_admitted", "hold_register_entered"] : (string[])["hold_register_entered"], order);
            wins[erased ? 0 : 1]++;
        }
        Assert.Equal(rounds, wins.Sum());
    }

    private static async Task<IReadOnlyList<string>> List(HttpClient client, string path, string position) =>
        [.. (await Slices.Calls.Items(client, path, position)).Select(i => i.GetProperty("id").GetString()!)];

    private static async Task<(int, string?)> Code(Task<Reply> reply) => ((await reply).Status, (await reply).Code);
}
